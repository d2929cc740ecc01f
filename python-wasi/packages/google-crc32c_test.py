import google_crc32c


def handler(event, context):
    assert google_crc32c.implementation == "python"
    # RFC 3720, appendix B.4.
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA
    sums = google_crc32c.Checksum(b"hello ")
    sums.update(b"world")
    assert sums.digest() == google_crc32c.value(b"hello world").to_bytes(4, "big")
