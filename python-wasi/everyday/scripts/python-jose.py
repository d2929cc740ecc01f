from jose import jwt


def handler(event, context):
    token = jwt.encode({"a": 1}, "secret", algorithm="HS256")
    return [token, jwt.decode(token, "secret", algorithms=["HS256"])]
