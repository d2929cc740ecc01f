import io

import zstandard


def handler(event, context):
    assert zstandard.backend == "cext"
    samples = [b"user %d wrote a line of text that looks like the others, number %d" % (n, n * n) for n in range(2000)]
    data = b"\n".join(samples)
    for options in {}, {"level": 19}, {"threads": 2}, {"write_checksum": True}:
        packed = zstandard.ZstdCompressor(**options).compress(data)
        assert len(packed) < len(data) / 3 and zstandard.ZstdDecompressor().decompress(packed) == data, options
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 255
    try:
        zstandard.ZstdDecompressor().decompress(bytes(broken))
    except zstandard.ZstdError:
        pass
    else:
        raise AssertionError("damage was not found")
    dictionary = zstandard.train_dictionary(4096, samples)
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[7])
    assert len(packed) < len(zstandard.ZstdCompressor().compress(samples[7]))
    assert zstandard.ZstdDecompressor(dict_data=dictionary).decompress(packed) == samples[7]
    file = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as f:
        f.write(data)
    file.seek(0)
    assert zstandard.ZstdDecompressor().stream_reader(file).read() == data
