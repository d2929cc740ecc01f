from decimal import Decimal

import simplejson


def handler(event, context):
    return [simplejson.dumps({"a": Decimal("1.10")}), str(simplejson.loads("1.10", use_decimal=True)), simplejson.dumps([float("nan")], ignore_nan=True)]
