import jiter


def handler(event, context):
    assert jiter.from_json(b'{"a": [1, 2.5, true, null, "\\u00fc"]}') == {"a": [1, 2.5, True, None, "ü"]}
    assert jiter.from_json(b'{"a": [1, 2', partial_mode=True) == {"a": [1, 2]}
    try:
        jiter.from_json(b"[1,")
    except ValueError as error:
        assert "EOF" in str(error)
    else:
        raise AssertionError("took half a list for a list")
