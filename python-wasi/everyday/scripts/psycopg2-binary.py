import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn, parse_dsn


def handler(event, context):
    try:
        psycopg2.connect(host="127.0.0.1", port=1, connect_timeout=1)
    except psycopg2.OperationalError as error:
        wrong = type(error).__name__
    return [wrong, parse_dsn("postgres://u:p@h:5433/d?sslmode=require"), make_dsn(host="h", dbname="d"),
            sql.Identifier("a").strings, psycopg2.extensions.adapt([1, "x'"]).adapted]
