from importlib.metadata import requires, version

import psycopg2


def handler(event, context):
    assert requires("psycopg2-binary") == [f"psycopg2=={version('psycopg2-binary')}"]
    assert psycopg2.__version__.split()[0] == version("psycopg2") == version("psycopg2-binary")
