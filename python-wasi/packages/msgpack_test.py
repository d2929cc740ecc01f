import datetime

import msgpack
from msgpack import _cmsgpack


def handler(event, context):
    assert msgpack.Packer is _cmsgpack.Packer and msgpack.Unpacker is _cmsgpack.Unpacker
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
    value = {"list": [1, -1, 2**63, 1.5, None, True], "text": "ё", "bytes": b"\0", "time": now, "long": "x" * 70_000}
    packed = msgpack.packb(value, datetime=True)
    assert msgpack.unpackb(packed, timestamp=3) == value
    stream = msgpack.Unpacker()
    stream.feed(packed[:100])
    stream.feed(msgpack.packb(1) and packed[100:])
    assert next(stream)["text"] == "ё"
    try:
        msgpack.unpackb(packed[:50])
    except ValueError:
        return
    raise AssertionError("half a message was unpacked")
