from decimal import Decimal

import simplejson
from simplejson import decoder, encoder


def handler(event, context):
    assert encoder.c_make_encoder and decoder.c_scanstring
    value = {"a": [1, 2.5, None, True, "ё\n"], "b": {"c": Decimal("1.10")}}
    text = simplejson.dumps(value, use_decimal=True, sort_keys=True)
    assert text == '{"a": [1, 2.5, null, true, "\\u0451\\n"], "b": {"c": 1.10}}'
    assert simplejson.loads(text, use_decimal=True)["b"]["c"] == Decimal("1.10")
    try:
        simplejson.loads("[1,")
    except simplejson.JSONDecodeError as error:
        assert error.pos == 3
    else:
        raise AssertionError("no error")
