import datetime

import bson
from pymongo import MongoClient, UpdateOne


def handler(event, context):
    text = bson.encode({"a": [1, 2.5, None, "ё"], "at": datetime.datetime(2024, 2, 29), "id": bson.ObjectId("0" * 24)})
    client = MongoClient("mongodb://u:p@h:27018/db?tls=true", connect=False)
    return [text.hex(), str(bson.decode(text)), client.get_default_database().name, repr(UpdateOne({"a": 1}, {"$set": {"b": 2}}))]
