import io
import tarfile as plain

from backports import zstd
from backports.zstd import tarfile


def handler(event, context):
    data = b"".join(b"line %d of some text\n" % n for n in range(10_000))
    packed = zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
    assert zstd.decompress(packed) == data and len(packed) < len(data) / 3
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 255
    try:
        zstd.decompress(bytes(broken))
    except zstd.ZstdError:
        pass
    else:
        raise AssertionError("damage was not found")
    with zstd.open("/tmp/text.zst", "wt") as f:
        f.write("Чайка\n" * 1000)
    with zstd.open("/tmp/text.zst", "rt") as f:
        assert f.readlines() == ["Чайка\n"] * 1000
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:zst") as t:
        member = plain.TarInfo("a")
        member.size = len(data)
        t.addfile(member, io.BytesIO(data))
    archive.seek(0)
    with tarfile.open(fileobj=archive) as t:
        assert t.extractfile("a").read() == data
