import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL


async def handler(event, context):
    form = aiohttp.FormData({"a": "1", "b": "ё"})
    writer = form()
    app = web.Application()
    app.router.add_get("/items/{id}", handler, name="item")
    url = app.router["item"].url_for(id="7")
    return [writer._value.decode(), str(url), str(URL("http://пример.рф/a b") / "c"), CIMultiDict(A="1")["a"]]
