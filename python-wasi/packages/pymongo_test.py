import datetime

import bson
import pymongo
from bson import json_util
from bson.errors import InvalidBSON
from pymongo import message


def handler(event, context):
    assert bson.has_c() and pymongo.has_c()
    value = {
        "text": "ё", "list": [1, 2**40, 1.5, None, True], "id": bson.ObjectId("5" * 24), "bytes": b"\0",
        "at": datetime.datetime(2024, 2, 29, 1, 2, 3, 4000), "number": bson.Decimal128("1.10"), "inner": {"a": bson.Regex("x", "i")},
    }
    text = bson.encode(value)
    assert bson.decode(text) == value and json_util.loads(json_util.dumps(value))["text"] == "ё"
    for wrong in b"", text[:-1], text[:-5] + b"\xff" * 5, b"\x05\0\0\0\1":
        try:
            bson.decode(wrong)
        except InvalidBSON:
            continue
        raise AssertionError(f"{wrong} was read")
    assert message._op_msg(0, {"ping": 1}, "admin", None, bson.DEFAULT_CODEC_OPTIONS)[1]
    client = pymongo.MongoClient("mongodb://u:p@127.0.0.1:1/db", serverSelectionTimeoutMS=200)
    try:
        client.admin.command("ping")
    except pymongo.errors.ServerSelectionTimeoutError as error:
        assert "no network" in str(error), error
    else:
        raise AssertionError("connected without a network")
