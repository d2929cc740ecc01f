"""What functions do with a database: the released ydb package, unmodified."""

import asyncio
import os

import ydb
import ydb.aio

config = {
    "endpoint": f"grpc://{os.environ['YDB']}",
    "database": "/local",
    "credentials": ydb.credentials.AccessTokenCredentials("secret"),
}
driver = ydb.Driver(**config)
pool = None
PARAMETERS = {"$a": 1, "$b": "два"}


def begin():
    """The pool, which lasts from call to call."""
    global pool
    if pool is None:
        driver.wait(timeout=10, fail_fast=True)
        pool = ydb.QuerySessionPool(driver, size=2)
    return pool


def rows(result_sets):
    return [[row["a"], row["b"]] for result_set in result_sets for row in result_set.rows]


def query():
    return rows(begin().execute_with_retries("SELECT $a, $b", PARAMETERS))


def transaction():
    def work(tx):
        with tx.execute("SELECT $a, $b", PARAMETERS, commit_tx=True) as answers:
            return rows(answers)

    return begin().retry_tx_sync(work)


def retry():
    return rows(begin().execute_with_retries("fails once", PARAMETERS))


def nonsense():
    try:
        begin().execute_with_retries("nonsense")
    except ydb.GenericError as error:
        return "mismatched input" in str(error)


def table():
    begin()
    session = driver.table_client.session().create()
    answer = session.transaction().execute(
        ydb.DataQuery("SELECT", {"$a": ydb.PrimitiveType.Int64, "$b": ydb.PrimitiveType.Utf8}), PARAMETERS, commit_tx=True
    )
    session.delete()
    return rows(answer)


def scan():
    begin()
    answers = driver.table_client.scan_query(ydb.ScanQuery("SELECT", {"$a": ydb.PrimitiveType.Int64, "$b": ydb.PrimitiveType.Utf8}), PARAMETERS)
    return rows(answer.result_set for answer in answers)


def future():
    begin()
    session = driver.table_client.session().async_create().result()
    answer = session.transaction().async_execute(ydb.DataQuery("SELECT", {"$a": ydb.PrimitiveType.Int64, "$b": ydb.PrimitiveType.Utf8}), PARAMETERS)
    return rows(answer.result())


async def aio():
    async with ydb.aio.Driver(**config) as driver:
        await driver.wait(timeout=10, fail_fast=True)
        async with ydb.aio.QuerySessionPool(driver, size=2) as pool:
            first, second = await asyncio.gather(*(pool.execute_with_retries("SELECT $a, $b", PARAMETERS) for _ in range(2)))
            return rows([*first, *second])


def stranger():
    try:
        with ydb.Driver(**{**config, "credentials": ydb.credentials.AccessTokenCredentials("wrong")}) as other:
            other.wait(timeout=10, fail_fast=True)
    except ydb.ConnectionFailure as error:
        return "wrong" in str(error)


def handler(event, context):
    value = eval(event["value"])
    return asyncio.get_event_loop().run_until_complete(value) if asyncio.iscoroutine(value) else value
