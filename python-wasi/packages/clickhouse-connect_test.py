import datetime

from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.binding import finalize_query
from clickhouse_connect.driver.query import QueryContext
from clickhouse_connect.driver.transform import NativeTransform
from clickhouse_connect.driver.ctypes import data_conv
from clickhouse_connect.driverc import dataconv
from clickhouse_connect.driverc.buffer import ResponseBuffer


class Source:
    def __init__(self, *blocks):
        self.gen = iter(blocks)

    def close(self):
        pass


def handler(event, context):
    assert data_conv is dataconv
    assert finalize_query("SELECT %(b)s", {"b": "it's"}) == "SELECT 'it\\'s'"
    # A block of ClickHouse's native format: two columns, three rows.
    block = b"\x02\x03" + b"\x01n\x06UInt16" + bytes([1, 0, 2, 0, 0, 1]) + b"\x01s\x06String" + b"\x01a\x00\x03xyz"
    result = NativeTransform().parse_response(ResponseBuffer(Source(block[:9], block[9:])), QueryContext())
    assert result.column_names == ("n", "s") and result.result_rows == [(1, "a"), (2, ""), (256, "xyz")], result.result_rows
    assert get_from_name("Nullable(Array(DateTime64(3)))").name == "Nullable(Array(DateTime64(3)))"
    assert get_from_name("Date").python_type is datetime.date
