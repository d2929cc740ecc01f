import cgi
import cgitb
import io


def handler(event, context):
    kind, parameters = cgi.parse_header('text/html; charset="utf-8"')
    assert (kind, parameters) == ("text/html", {"charset": "utf-8"})

    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ntext\r\n--b--\r\n'
    form = cgi.FieldStorage(
        io.BytesIO(body),
        {"content-type": "multipart/form-data; boundary=b", "content-length": str(len(body))},
        environ={"REQUEST_METHOD": "POST"},
    )
    assert form["file"].filename == "a.txt"
    assert form["file"].file.read() == b"text"

    try:
        raise ValueError("wrong")
    except ValueError as error:
        assert "wrong" in cgitb.text((type(error), error, error.__traceback__))
