import datetime

import psycopg2
from psycopg2.extensions import QuotedString, libpq_version, make_dsn


def handler(event, context):
    assert libpq_version() // 10000 == 17
    assert QuotedString("it's").getquoted() == b"'it''s'"
    assert psycopg2.DateFromTicks(0).adapted == datetime.date(1970, 1, 1)
    assert psycopg2.Binary(b"\0a").getquoted().startswith(b"'")
    try:
        psycopg2.connect(make_dsn(host="127.0.0.1", port=5432, user="nobody", connect_timeout=10))
    except psycopg2.OperationalError as error:
        # What libpq was told, by the sandbox.
        assert "the function has no network" in str(error), error
    else:
        raise AssertionError("connected without a network")
