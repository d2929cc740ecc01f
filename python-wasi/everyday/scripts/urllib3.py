from urllib3.util import Retry, parse_url
from urllib3.filepost import encode_multipart_formdata


def handler(event, context):
    body, kind = encode_multipart_formdata({"a": "1", "file": ("имя.txt", b"data", "text/plain")}, boundary="b")
    retry = Retry(total=3, backoff_factor=0.1).increment("GET", "/")
    return [parse_url("https://u@example.com:8443/a?b#c")._asdict(), body.decode(), kind, retry.total]
