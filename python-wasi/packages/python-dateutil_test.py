from datetime import datetime, timedelta

from dateutil import parser, relativedelta, rrule, tz
from dateutil.zoneinfo import get_zonefile_instance


def handler(event, context):
    assert parser.parse("31 March 2024 10:00") + relativedelta.relativedelta(months=1) == datetime(2024, 4, 30, 10)
    assert parser.isoparse("2024-02-29T12:00+03:00").utcoffset() == timedelta(hours=3)
    moscow = tz.gettz("Europe/Moscow")
    assert datetime(2024, 1, 1, tzinfo=moscow).utcoffset() == timedelta(hours=3)
    # The zones that come with the package, beside the system's.
    assert get_zonefile_instance().get("Europe/Moscow") is not None
    assert [d.day for d in rrule.rrule(rrule.DAILY, count=3, dtstart=datetime(2024, 2, 28))] == [28, 29, 1]
