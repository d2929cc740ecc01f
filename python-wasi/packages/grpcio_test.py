import socket
import threading

import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events
from grpc.aio._typing import MetadataType, RequestType, ResponseType


class Method:
    """Annotated as packages annotate what they pass on to grpc.aio."""

    inner: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

    def __call__(
        self, request: RequestType, *, metadata: MetadataType | None = None
    ) -> grpc.aio.UnaryUnaryCall[RequestType, ResponseType]: ...


def serve(listener):
    """Answer each call with its request."""
    connection, _ = listener.accept()
    session = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    session.initiate_connection()
    connection.sendall(session.data_to_send())
    while data := connection.recv(65536):
        for event in session.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                session.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
            elif isinstance(event, h2.events.DataReceived):
                session.send_data(event.stream_id, event.data)
            elif isinstance(event, h2.events.StreamEnded):
                session.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
        connection.sendall(session.data_to_send())


def start():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


async def handler(event, context):
    with grpc.insecure_channel(start()) as channel:
        assert channel.unary_unary("/a.Service/Method")(b"request", timeout=30) == b"request"
        assert list(channel.stream_stream("/a.Service/Method")(iter((b"one", b"two")), timeout=30)) == [b"one", b"two"]
    async with grpc.aio.insecure_channel(start()) as channel:
        assert await channel.unary_unary("/a.Service/Method")(b"request", timeout=30) == b"request"
