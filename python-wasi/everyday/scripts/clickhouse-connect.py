from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.binding import finalize_query


def handler(event, context):
    return [get_from_name("Nullable(Array(DateTime64(3)))").name, finalize_query("SELECT {a}, %(b)s", {"b": "it's"})]
