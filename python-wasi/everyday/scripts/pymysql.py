import pymysql
from pymysql.converters import escape_item


def handler(event, context):
    try:
        pymysql.connect(host="127.0.0.1", port=1, connect_timeout=1)
    except pymysql.err.OperationalError as error:
        wrong = error.args[0]
    return [wrong, escape_item("it's", "utf8mb4"), pymysql.paramstyle]
