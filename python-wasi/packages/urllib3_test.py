import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import urllib3


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")


def handler(event, context):
    server = HTTPServer(("127.0.0.1", 8080), Hello)
    threading.Thread(target=server.serve_forever).start()
    try:
        answer = urllib3.request("GET", "http://127.0.0.1:8080/")
        assert answer.status == 200 and answer.data == b"hello"
    finally:
        server.shutdown()
        server.server_close()
