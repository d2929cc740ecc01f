"""Calls of servers that mean harm."""

import asyncio
import os

import grpc
import grpc.aio

METHOD = "/grpc.testing.TestService/EmptyCall"
REQUEST = bytes(100_000)

friend = grpc.insecure_channel(os.environ["FRIEND"]).unary_unary(METHOD)
aio_friend = grpc.aio.insecure_channel(os.environ["FRIEND"]).unary_unary(METHOD)


def attacked(address, timeout):
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(METHOD)(REQUEST, timeout=timeout)
        except grpc.RpcError as error:
            print(error.details())
            code = error.code().name
    assert friend(b"") == b""
    return code


async def aio_attacked(address, timeout):
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            await channel.unary_unary(METHOD)(REQUEST, timeout=timeout)
        except grpc.RpcError as error:
            print(error.details())
            code = error.code().name
    assert await aio_friend(b"") == b""
    return code


def handler(event, context):
    value = eval(event["value"])
    return asyncio.get_event_loop().run_until_complete(value) if asyncio.iscoroutine(value) else value
