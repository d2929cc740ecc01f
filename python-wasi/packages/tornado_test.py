from tornado import util, speedups
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler


class Echo(RequestHandler):
    def post(self):
        self.write(self.request.body[::-1])


async def handler(event, context):
    assert util._websocket_mask is speedups.websocket_mask
    mask = bytes([1, 2, 3, 4])
    assert util._websocket_mask(mask, b"hello world") == util._websocket_mask_python(mask, b"hello world")
    server = Application([("/echo", Echo)]).listen(8080, "127.0.0.1")
    answer = await AsyncHTTPClient().fetch("http://127.0.0.1:8080/echo", method="POST", body=b"abc")
    assert answer.body == b"cba"
    server.stop()
