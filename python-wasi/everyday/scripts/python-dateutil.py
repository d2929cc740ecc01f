from datetime import datetime

from dateutil import parser, rrule, tz
from dateutil.relativedelta import relativedelta


def handler(event, context):
    start = parser.parse("Feb 29 2024 10:00 +0300")
    days = rrule.rrule(rrule.MONTHLY, count=3, dtstart=datetime(2024, 1, 31), bymonthday=-1)
    return [start.isoformat(), (start + relativedelta(years=1)).isoformat(), [str(d) for d in days],
            datetime(2024, 7, 1, tzinfo=tz.gettz("Europe/Moscow")).isoformat()]
