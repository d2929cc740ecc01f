from mangum import Mangum


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def handler(event, context):
    event = {
        "version": "2.0", "rawPath": "/a", "rawQueryString": "", "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/a", "sourceIp": "127.0.0.1"}},
    }
    return Mangum(app, lifespan="off")(event, None)
