from websockets import frames, speedups
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(socket):
    async for message in socket:
        await socket.send(message[::-1])


async def handler(event, context):
    assert frames.apply_mask is speedups.apply_mask
    async with serve(echo, "127.0.0.1", 8080), connect("ws://127.0.0.1:8080") as socket:
        await socket.send("abc" * 10_000)
        assert await socket.recv() == "cba" * 10_000
