from datetime import datetime

import pytz


def handler(event, context):
    berlin = pytz.timezone("Europe/Berlin")
    return [berlin.localize(datetime(2024, m, 1)).isoformat() for m in (1, 7)] + [len(pytz.all_timezones) > 400]
