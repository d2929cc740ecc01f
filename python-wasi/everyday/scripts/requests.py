import requests
from requests.cookies import cookiejar_from_dict


def handler(event, context):
    session = requests.Session()
    session.cookies = cookiejar_from_dict({"a": "1"})
    request = requests.Request("POST", "https://example.com/пути", params={"q": "а б"}, json={"x": [1]}, auth=("u", "p"))
    prepared = session.prepare_request(request)
    return [prepared.url, prepared.body.decode(), sorted(prepared.headers.items())[:3], requests.codes.teapot]
