import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests


class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path, "body": json.loads(body)}).encode())


def handler(event, context):
    server = HTTPServer(("127.0.0.1", 8080), Echo)
    threading.Thread(target=server.serve_forever).start()
    try:
        with requests.Session() as session:
            answer = session.post("http://127.0.0.1:8080/a", params={"b": "c d"}, json={"e": "ё"}, timeout=60)
        assert answer.status_code == 201
        assert answer.json() == {"path": "/a?b=c+d", "body": {"e": "ё"}}
    finally:
        server.shutdown()
        server.server_close()
