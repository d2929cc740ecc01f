from websockets.client import ClientProtocol
from websockets.uri import parse_uri


def handler(event, context):
    client = ClientProtocol(parse_uri("wss://example.com/chat?x=1"))
    request = client.connect()
    return [request.path, request.headers["Upgrade"], client.state.name]
