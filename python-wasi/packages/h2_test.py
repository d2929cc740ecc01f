import h2.config
import h2.connection
import h2.events


def handler(event, context):
    client = h2.connection.H2Connection()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    client.initiate_connection()
    server.initiate_connection()
    client.send_headers(1, [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "example.org")], end_stream=True)
    events = server.receive_data(client.data_to_send())
    (request,) = (e for e in events if isinstance(e, h2.events.RequestReceived))
    assert dict(request.headers)[":path"] == "/"
