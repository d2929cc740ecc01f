import datetime

import orjson


def handler(event, context):
    return [orjson.dumps({"a": datetime.date(2024, 2, 29), "b": [1.5, None], 1: "ё"}, option=orjson.OPT_NON_STR_KEYS).decode(),
            orjson.loads('{"x": [1e3, "\\u00e9"]}')]
