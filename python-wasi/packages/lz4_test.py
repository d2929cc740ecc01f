import io

import lz4.block
import lz4.frame


def handler(event, context):
    data = b"".join(b"line %d of some text\n" % n for n in range(10_000))
    for mode in "default", "fast", "high_compression":
        packed = lz4.block.compress(data, mode=mode)
        assert len(packed) < len(data) / 2 and lz4.block.decompress(packed) == data
    packed = lz4.frame.compress(data, content_checksum=True)
    assert lz4.frame.decompress(packed) == data
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 255
    for damaged in bytes(broken), packed[:-7]:
        try:
            lz4.frame.decompress(damaged)
        except RuntimeError:
            continue
        raise AssertionError("damage was not found")
    file = io.BytesIO()
    with lz4.frame.open(file, "wb") as f:
        f.write(data)
    file.seek(0)
    with lz4.frame.open(file) as f:
        assert f.readline() == b"line 0 of some text\n" and f.read() == data[20:]
