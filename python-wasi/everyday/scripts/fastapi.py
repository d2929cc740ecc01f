import asyncio

from fastapi import Depends, FastAPI, HTTPException
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel

# requires: httpx
app = FastAPI()


class Item(BaseModel):
    name: str
    price: float = 1.5


def who():
    return "anna"


@app.post("/items")
def create(item: Item, user: str = Depends(who)):
    if item.price < 0:
        raise HTTPException(409, "no price")
    return {"item": item, "user": user}


async def handler(event, context):
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answers = await asyncio.gather(*(client.post("/items", json=body) for body in ({"name": "a"}, {}, {"name": "b", "price": -1})))
    return [[a.status_code, a.json()] for a in answers] + [sorted(app.openapi()["paths"])]
