from werkzeug.datastructures import MultiDict
from werkzeug.security import check_password_hash
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request


def handler(event, context):
    request = Request(EnvironBuilder("/a?b=1", method="POST", data={"c": "ё"}).get_environ())
    known = "pbkdf2:sha256:1000$salt$7c0bc0ba5d04d8e9a4a25a4ac6b7d3a7a6f3f4c1f2c06a5d2c9b5fb9f3f5e7aa"
    return [request.args["b"], request.form["c"], MultiDict([("x", 1), ("x", 2)]).getlist("x"), check_password_hash(known, "p")]
