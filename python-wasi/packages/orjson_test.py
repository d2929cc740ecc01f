import dataclasses
import datetime
import enum
import uuid

import orjson


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: float


def fails(text):
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return str(error)
    raise AssertionError(f"{text} was read")


def handler(event, context):
    value = {"text": "привет \U0001f600\n", "numbers": [0, -1, 2**63, 0.1, 1e300], "none": None, "flag": True, "empty": {}}
    assert orjson.loads(orjson.dumps(value)) == value
    assert orjson.loads(b'{"a": [1, 2.5, "\\u00e9"]}') == {"a": [1, 2.5, "é"]}
    assert orjson.dumps(Point(1, 2.5)) == b'{"x":1,"y":2.5}'
    assert orjson.dumps(Colour.RED) == b'"red"'
    at = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
    assert orjson.dumps(at, option=orjson.OPT_UTC_Z) == b'"2024-02-29T12:30:00Z"'
    assert orjson.dumps(uuid.UUID(int=1)) == b'"00000000-0000-0000-0000-000000000001"'
    assert orjson.dumps({"b": 1, "a": 2}, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) == b'{\n  "a": 2,\n  "b": 1\n}'
    assert orjson.dumps({1: "x"}, option=orjson.OPT_NON_STR_KEYS) == b'{"1":"x"}'
    assert orjson.dumps({1, 2}, default=sorted) == b"[1,2]"
    assert orjson.dumps([orjson.Fragment(b"[1]")]) == b"[[1]]"
    assert "line 1 column 2" in fails(b"{") or "EOF" in fails(b"{")
    fails(b"[" * 2000)
    fails("\x00")
    try:
        orjson.dumps(object())
    except orjson.JSONEncodeError as error:
        assert "not JSON serializable" in str(error)
    else:
        raise AssertionError("an object became JSON")
