"""gRPC's interoperability tests, as functions that return True."""

import asyncio
import os
import pathlib
import queue
import threading

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, message_factory

pool = descriptor_pool.Default()
for file in sorted(pathlib.Path(__file__).with_name("proto").iterdir()):
    pool.AddSerializedFile(file.read_bytes())


def message(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.testing.{name}"))


def stub(channel, service="TestService"):
    """The methods of a service by name."""
    methods = {}
    for method in pool.FindServiceByName(f"grpc.testing.{service}").methods:
        kind = "_".join("stream" if streaming else "unary" for streaming in (method.client_streaming, method.server_streaming))
        methods[method.name] = getattr(channel, kind)(
            f"/grpc.testing.{service}/{method.name}",
            request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            _registered_method=True,
        )
    return type("Stub", (), methods)


Empty, Payload, EchoStatus = message("Empty"), message("Payload"), message("EchoStatus")
SimpleRequest = message("SimpleRequest")
InputRequest, OutputRequest = message("StreamingInputCallRequest"), message("StreamingOutputCallRequest")

channel = grpc.insecure_channel(os.environ["PLAIN"])
test = stub(channel)


def output(*sizes, interval=0, **more):
    """A request for messages of these sizes."""
    return OutputRequest(response_parameters=[{"size": size, "interval_us": interval} for size in sizes], **more)


def raised(call, *arguments, **named):
    """The error of a call that fails."""
    try:
        call(*arguments, **named)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call has not failed")


def failed(error, code, details=None):
    """Whether an error is the expected one."""
    assert error.code() is code, error
    assert details is None or error.details() == details, error
    return True


def empty_unary():
    return test.EmptyCall(Empty()) == Empty()


def large_unary():
    request = SimpleRequest(response_size=314159, payload=Payload(body=bytes(271828)))
    return test.UnaryCall(request).payload.body == bytes(314159)


def client_streaming():
    requests = (InputRequest(payload=Payload(body=bytes(size))) for size in (27182, 8, 1828, 45904))
    return test.StreamingInputCall(requests).aggregated_payload_size == 74922


def server_streaming():
    sizes = [31415, 9, 2653, 58979]
    return [len(answer.payload.body) for answer in test.StreamingOutputCall(output(*sizes))] == sizes


def ping_pong():
    got, ready = [], queue.SimpleQueue()
    ready.put(None)

    def requests():
        for size, length in (31415, 27182), (9, 8), (2653, 1828), (58979, 45904):
            ready.get()  # the answer to the one before
            yield output(size, payload=Payload(body=bytes(length)))

    for answer in test.FullDuplexCall(requests()):
        got.append(len(answer.payload.body))
        ready.put(None)
    return got == [31415, 9, 2653, 58979]


def empty_stream():
    return list(test.FullDuplexCall(iter(()))) == []


def timeout_on_sleeping_server():
    call = test.FullDuplexCall(iter((output(31415, interval=5_000_000),)), timeout=0.05)
    return failed(raised(next, call), grpc.StatusCode.DEADLINE_EXCEEDED)


def cancel_after_begin():
    never = threading.Event()

    def requests():
        never.wait()
        yield

    future = test.StreamingInputCall.future(requests())
    future.cancel()
    never.set()
    return future.cancelled() and future.code() is grpc.StatusCode.CANCELLED


def cancel_after_first_response():
    more = threading.Event()

    def requests():
        yield output(31415, payload=Payload(body=bytes(27182)))
        more.wait()

    call = test.FullDuplexCall(requests())
    assert len(next(call).payload.body) == 31415
    call.cancel()
    more.set()
    return failed(raised(next, call), grpc.StatusCode.CANCELLED) and call.cancelled()


def status_code_and_message():
    status = EchoStatus(code=2, message="test status message")
    error = raised(test.UnaryCall, SimpleRequest(response_status=status))
    stream = test.FullDuplexCall(iter((OutputRequest(response_status=status),)))
    return all(failed(e, grpc.StatusCode.UNKNOWN, "test status message") for e in (error, raised(next, stream)))


def special_status_message():
    text = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
    error = raised(test.UnaryCall, SimpleRequest(response_status=EchoStatus(code=2, message=text)))
    return failed(error, grpc.StatusCode.UNKNOWN, text)


METADATA = (("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))


def custom_metadata():
    request = SimpleRequest(response_size=1, payload=Payload(body=b"1"))
    _, unary = test.UnaryCall.with_call(request, metadata=METADATA)
    stream = test.FullDuplexCall(iter((output(1),)), metadata=METADATA)
    stream.initial_metadata()
    for _ in stream:
        pass
    for call in unary, stream:
        assert METADATA[0] in call.initial_metadata(), call.initial_metadata()
        assert METADATA[1] in call.trailing_metadata(), call.trailing_metadata()
        assert call.trailing_metadata()[-1].key == METADATA[1][0]
    return True


def unimplemented_method():
    return failed(raised(test.UnimplementedCall, Empty()), grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service():
    error = raised(stub(channel, "UnimplementedService").UnimplementedCall, Empty())
    return failed(error, grpc.StatusCode.UNIMPLEMENTED)


# The same with asyncio.

aio_channel = grpc.aio.insecure_channel(os.environ["PLAIN"])
aio_test = stub(aio_channel)


async def raised_by(awaitable):
    """The error of a call that fails."""
    try:
        await awaitable
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call has not failed")


async def requests_of(*requests):
    for request in requests:
        await asyncio.sleep(0)
        yield request


async def aio_empty_unary():
    call = aio_test.EmptyCall(Empty())
    return await call == Empty() and await call == Empty() and await call.code() is grpc.StatusCode.OK


async def aio_large_unary():
    request = SimpleRequest(response_size=314159, payload=Payload(body=bytes(271828)))
    return (await aio_test.UnaryCall(request)).payload.body == bytes(314159)


async def aio_client_streaming():
    requests = [InputRequest(payload=Payload(body=bytes(size))) for size in (27182, 8, 1828, 45904)]
    sums = [await aio_test.StreamingInputCall(requests), await aio_test.StreamingInputCall(requests_of(*requests))]
    call = aio_test.StreamingInputCall()
    for request in requests:
        await call.write(request)
    await call.done_writing()
    return [each.aggregated_payload_size for each in [*sums, await call]] == 3 * [74922]


async def aio_server_streaming():
    sizes = [31415, 9, 2653, 58979]
    got = [len(answer.payload.body) async for answer in aio_test.StreamingOutputCall(output(*sizes))]
    call = aio_test.StreamingOutputCall(output(*sizes))
    while (answer := await call.read()) is not grpc.aio.EOF:
        got.append(len(answer.payload.body))
    return got == 2 * sizes


async def aio_ping_pong():
    call, got = aio_test.FullDuplexCall(), []
    for size, length in (31415, 27182), (9, 8), (2653, 1828), (58979, 45904):
        await call.write(output(size, payload=Payload(body=bytes(length))))
        got.append(len((await call.read()).payload.body))
    await call.done_writing()
    return got == [31415, 9, 2653, 58979] and await call.read() is grpc.aio.EOF


async def aio_empty_stream():
    return [answer async for answer in aio_test.FullDuplexCall(requests_of())] == []


async def aio_timeout_on_sleeping_server():
    call = aio_test.FullDuplexCall(requests_of(output(31415, interval=5_000_000)), timeout=0.05)
    return failed(await raised_by(call.read()), grpc.StatusCode.DEADLINE_EXCEEDED)


async def aio_cancel_after_begin():
    call = aio_test.StreamingInputCall()
    await call.wait_for_connection()
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        return call.cancelled() and await call.code() is grpc.StatusCode.CANCELLED


async def aio_cancel_after_first_response():
    call = aio_test.FullDuplexCall()
    await call.write(output(31415, payload=Payload(body=bytes(27182))))
    assert len((await call.read()).payload.body) == 31415
    call.cancel()
    try:
        await call.read()
    except asyncio.CancelledError:
        return call.cancelled()


async def aio_status_code_and_message():
    status = EchoStatus(code=2, message="test status message")
    error = await raised_by(aio_test.UnaryCall(SimpleRequest(response_status=status)))
    stream = aio_test.FullDuplexCall(requests_of(OutputRequest(response_status=status)))
    errors = error, await raised_by(stream.read())
    return all(failed(e, grpc.StatusCode.UNKNOWN, "test status message") for e in errors)


async def aio_custom_metadata():
    call = aio_test.UnaryCall(SimpleRequest(response_size=1), metadata=grpc.aio.Metadata(*METADATA))
    await call
    initial, trailing = await call.initial_metadata(), await call.trailing_metadata()
    return (initial[METADATA[0][0]], trailing[METADATA[1][0]]) == (METADATA[0][1], METADATA[1][1]) and METADATA[1] in list(trailing)


async def aio_unimplemented():
    other = stub(aio_channel, "UnimplementedService").UnimplementedCall(Empty())
    errors = await raised_by(aio_test.UnimplementedCall(Empty())), await raised_by(other)
    return all(failed(error, grpc.StatusCode.UNIMPLEMENTED) for error in errors)


async def aio_together():
    calls = [aio_test.UnaryCall(SimpleRequest(response_size=size)) for size in range(50)]
    return [len(answer.payload.body) for answer in await asyncio.gather(*calls)] == list(range(50))
