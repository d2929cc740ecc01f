import aiohttp
from aiohttp import _http_parser, http_parser, http_websocket, http_writer, web


async def echo(request):
    return web.json_response({"method": request.method, "body": await request.text(), "query": dict(request.query)})


async def chat(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


async def handler(event, context):
    assert http_parser.HttpResponseParser is _http_parser.HttpResponseParser
    assert http_writer._serialize_headers.__module__ == "aiohttp._http_writer"
    assert http_websocket.WebSocketReader.__module__ == "aiohttp._websocket.reader_c"
    app = web.Application()
    app.add_routes([web.post("/echo", echo), web.get("/chat", chat)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 8080)
    await site.start()
    try:
        async with aiohttp.ClientSession("http://127.0.0.1:8080") as session:
            async with session.post("/echo", params={"a": "б"}, data="x" * 100_000) as response:
                assert response.status == 200
                answer = await response.json()
                assert answer == {"method": "POST", "body": "x" * 100_000, "query": {"a": "б"}}
            async with session.ws_connect("/chat") as socket:
                await socket.send_str("hello" * 1000)
                assert (await socket.receive_str()) == "HELLO" * 1000
    finally:
        await runner.cleanup()
