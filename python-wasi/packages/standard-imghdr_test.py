import imghdr


def handler(event, context):
    assert imghdr.what(None, b"\x89PNG\r\n\x1a\n" + bytes(24)) == "png"
    assert imghdr.what(None, b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(22)) == "jpeg"
    assert imghdr.what(None, b"text" * 8) is None
