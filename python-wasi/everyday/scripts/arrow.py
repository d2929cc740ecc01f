import arrow


def handler(event, context):
    at = arrow.get("2024-02-29T10:00:00+03:00")
    return [at.shift(years=1).isoformat(), at.to("Asia/Tokyo").format("YYYY-MM-DD HH:mm ZZ"),
            at.humanize(arrow.get("2024-03-02T10:00:00+03:00"), locale="ru")]
