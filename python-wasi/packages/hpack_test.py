import hpack


def handler(event, context):
    headers = [("name", "value" * 100), ("name", "value" * 100), ("other", "значение")]
    block = hpack.Encoder().encode(headers)
    assert len(block) < 500 and hpack.Decoder().decode(block) == headers
