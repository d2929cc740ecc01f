from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def home(request):
    return JSONResponse({"q": request.query_params["q"], "user": request.path_params["user"]})


async def handler(event, context):
    app, sent = Starlette(routes=[Route("/{user}", home)]), []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/anna", "query_string": b"q=1", "headers": [], "http_version": "1.1"}
    await app(scope, receive, send)
    return [sent[0]["status"], sent[1]["body"].decode()]
