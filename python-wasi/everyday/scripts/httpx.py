import asyncio

import httpx


def answer(request):
    return httpx.Response(200, json={"path": request.url.path, "query": dict(request.url.params)})


async def handler(event, context):
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://example.com") as client:
        found = await asyncio.gather(*(client.get("/items", params={"n": n}) for n in range(3)))
    return [r.json() for r in found]
