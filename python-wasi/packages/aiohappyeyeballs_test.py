import asyncio
import socket

import aiohappyeyeballs


async def handler(event, context):
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 8080)
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo("127.0.0.1", 8080, type=socket.SOCK_STREAM)
    connection = await aiohappyeyeballs.start_connection(addresses)
    assert connection.getpeername() == ("127.0.0.1", 8080)
    connection.close()
    server.close()
