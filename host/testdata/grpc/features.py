"""What clients use of gRPC besides calls; the functions return True."""

import asyncio
import os
import pathlib
import threading
import time

import grpc
import interop
from interop import EchoStatus, Empty, Payload, SimpleRequest, failed, output, raised, raised_by, stub, test

CODE = pathlib.Path(__file__).parent


def secure(key=False, **more):
    """Credentials for TLS, with a client's certificate if it has a key."""
    roots = (CODE / "ca.pem").read_bytes()
    if not key:
        # Bundles name who is certified, and not in ASCII alone.
        roots = "# Főtanúsítvány\n".encode() + roots + "# –––\n".encode()
    return grpc.ssl_channel_credentials(roots, *((CODE / "key.pem").read_bytes(), roots) if key else ())


def tls():
    with grpc.secure_channel(os.environ["SECURE"], secure()) as channel:
        assert stub(channel).EmptyCall(Empty()) == Empty()
    # The certificate is of another name too.
    options = [("grpc.ssl_target_name_override", "example.com")]
    with grpc.secure_channel(os.environ["SECURE"], secure(), options) as channel:
        return stub(channel).EmptyCall(Empty()) == Empty()


def tls_of_clients():
    with grpc.secure_channel(os.environ["MUTUAL"], secure()) as channel:
        failed(raised(stub(channel).EmptyCall, Empty()), grpc.StatusCode.UNAVAILABLE)
    with grpc.secure_channel(os.environ["MUTUAL"], secure(key=True)) as channel:
        return stub(channel).EmptyCall(Empty()) == Empty()


def tls_with_strangers():
    with grpc.secure_channel(os.environ["SECURE"], grpc.ssl_channel_credentials()) as channel:
        error = raised(stub(channel).EmptyCall, Empty())
        assert "CERTIFICATE_VERIFY_FAILED" in error.details(), error
    # No roots are not the platform's.
    with grpc.secure_channel(os.environ["SECURE"], grpc.ssl_channel_credentials(b"# none\n")) as channel:
        error = raised(stub(channel).EmptyCall, Empty())
        assert error.code() is grpc.StatusCode.UNAVAILABLE and "no certificate in the roots" in error.details(), error
    with grpc.secure_channel(os.environ["SECURE"], secure(), [("grpc.ssl_target_name_override", "other.org")]) as channel:
        error = raised(stub(channel).EmptyCall, Empty())
        assert "certificate is not valid for 'other.org'" in error.details(), error
    with grpc.secure_channel(os.environ["PLAIN"], secure()) as channel:
        return failed(raised(stub(channel).EmptyCall, Empty()), grpc.StatusCode.UNAVAILABLE)


async def aio_tls():
    async with grpc.aio.secure_channel(os.environ["SECURE"], secure()) as channel:
        await channel.channel_ready()
        assert channel.get_state() is grpc.ChannelConnectivity.READY
        assert await stub(channel).EmptyCall(Empty()) == Empty()
    async with grpc.aio.secure_channel(os.environ["SECURE"], grpc.ssl_channel_credentials()) as channel:
        error = await raised_by(stub(channel).EmptyCall(Empty()))
        return "CERTIFICATE_VERIFY_FAILED" in error.details()


class Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, error=None):
        self.error = error

    def __call__(self, context, callback):
        self.context = context
        # Another thread may have the token.
        threading.Thread(target=callback, args=((("authorization", "from a plugin"),), self.error)).start()


def authorized(call):
    return [datum.value for datum in call.trailing_metadata() if datum.key == "x-authorization"]


def credentials():
    plugin = Plugin()
    composite = grpc.composite_channel_credentials(secure(), grpc.metadata_call_credentials(plugin))
    with grpc.secure_channel(os.environ["SECURE"], composite) as channel:
        _, call = stub(channel).UnaryCall.with_call(SimpleRequest(), credentials=grpc.access_token_call_credentials("token"))
        assert authorized(call) == ["from a plugin", "Bearer token"], authorized(call)
        where = f"https://{os.environ['SECURE']}/grpc.testing.TestService"
        assert (plugin.context.service_url, plugin.context.method_name) == (where, "UnaryCall"), plugin.context
    failing = grpc.metadata_call_credentials(Plugin(ValueError("no token")))
    with grpc.secure_channel(os.environ["SECURE"], grpc.composite_channel_credentials(secure(), failing)) as channel:
        assert "no token" in raised(stub(channel).EmptyCall, Empty()).details()
    # A token is not for everybody to read.
    error = raised(test.EmptyCall, Empty(), credentials=grpc.access_token_call_credentials("token"))
    return failed(error, grpc.StatusCode.UNAUTHENTICATED)


async def aio_credentials():
    composite = grpc.composite_channel_credentials(secure(), grpc.metadata_call_credentials(Plugin()))
    async with grpc.aio.secure_channel(os.environ["SECURE"], composite) as channel:
        call = stub(channel).UnaryCall(SimpleRequest(), credentials=grpc.access_token_call_credentials("token"))
        await call
        return (await call.trailing_metadata()).get_all("x-authorization") == ["from a plugin", "Bearer token"]


def compression():
    request = SimpleRequest(expect_compressed={"value": True}, response_compressed={"value": True}, response_size=100_000)
    for level in grpc.Compression.Gzip, grpc.Compression.NoCompression:
        with grpc.insecure_channel(os.environ["PLAIN"], compression=level) as channel:
            methods = stub(channel)
            if level is grpc.Compression.NoCompression:
                failed(raised(methods.UnaryCall, request), grpc.StatusCode.INVALID_ARGUMENT)
            assert len(methods.UnaryCall(request, compression=grpc.Compression.Gzip).payload.body) == 100_000
    return True


def limits():
    failed(raised(test.UnaryCall, SimpleRequest(response_size=5 << 20)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    # What is small on the wire only counts as what it is.
    bomb = SimpleRequest(response_size=5 << 20, response_compressed={"value": True})
    failed(raised(test.UnaryCall, bomb), grpc.StatusCode.RESOURCE_EXHAUSTED)
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", 1 << 20)]
    with grpc.insecure_channel(os.environ["PLAIN"], options) as channel:
        methods = stub(channel)
        error = raised(methods.UnaryCall, SimpleRequest(payload=Payload(body=bytes(2 << 20))))
        assert "Sent message larger than max" in error.details(), error
        return all(len(methods.UnaryCall(r).payload.body) == 5 << 20 for r in (SimpleRequest(response_size=5 << 20), bomb))


def flow_control():
    """More than the windows of both sides, both ways, before anything is read."""
    count, size = 40, 100_000
    call = test.FullDuplexCall(output(size, payload=Payload(body=bytes(size))) for _ in range(count))
    time.sleep(0.3)
    assert sum(len(answer.payload.body) for answer in call) == count * size
    return len(test.StreamingOutputCall(output(1), timeout=60).__next__().payload.body) == 1


class Interceptor(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor,
):  # fmt: skip
    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def intercept_unary_unary(self, continuation, details, request):
        self.seen.append((self.name, details.method.rpartition("/")[2]))
        return continuation(details, request)

    intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = intercept_unary_unary


class Answers(grpc.UnaryUnaryClientInterceptor):
    """Retries, and changes what is sent."""

    def intercept_unary_unary(self, continuation, details, request):
        error = continuation(details, request)
        assert error.exception().code() is grpc.StatusCode.ABORTED and error.code() is grpc.StatusCode.ABORTED
        return continuation(details._replace(metadata=interop.METADATA), SimpleRequest(response_size=3))


def interceptors():
    seen = []
    channel = grpc.intercept_channel(interop.channel, Interceptor("first", seen), Interceptor("second", seen))
    methods = stub(channel)
    methods.EmptyCall(Empty())
    assert methods.EmptyCall.future(Empty()).result() == Empty()
    list(methods.StreamingOutputCall(output(1)))
    methods.StreamingInputCall(iter(()))
    list(methods.FullDuplexCall(iter(())))
    names = ["EmptyCall", "EmptyCall", "StreamingOutputCall", "StreamingInputCall", "FullDuplexCall"]
    assert seen == [(who, name) for name in names for who in ("first", "second")], seen
    aborted = SimpleRequest(response_status=EchoStatus(code=10, message="again"))
    answer, call = stub(grpc.intercept_channel(interop.channel, Answers())).UnaryCall.with_call(aborted)
    assert len(answer.payload.body) == 3 and interop.METADATA[1] in call.trailing_metadata()
    failed(raised(methods.UnaryCall, aborted), grpc.StatusCode.ABORTED)
    return True


class AioInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation, details, request):
        details.metadata.add(*interop.METADATA[1])
        call = await continuation(details, request)
        if await call.code() is grpc.StatusCode.ABORTED:
            return SimpleRequest(response_size=42)  # the answer
        return call


class AioStreamInterceptor(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation, details, request_iterator):
        call = await continuation(details, request_iterator)

        async def answers():
            async for answer in call:
                yield len(answer.payload.body)

        return answers()


async def aio_interceptors():
    async with grpc.aio.insecure_channel(os.environ["PLAIN"], interceptors=[AioInterceptor(), AioStreamInterceptor()]) as channel:
        methods = stub(channel)
        call = methods.UnaryCall(SimpleRequest(response_size=3))
        assert len((await call).payload.body) == 3
        assert interop.METADATA[1] in list(await call.trailing_metadata())
        aborted = SimpleRequest(response_status=EchoStatus(code=10, message="again"))
        assert (await methods.UnaryCall(aborted)).response_size == 42
        assert [size async for size in methods.FullDuplexCall([output(1), output(2, 3)])] == [1, 2, 3]
        call = methods.FullDuplexCall()
        await call.write(output(4))
        assert await call.read() == 4
        await call.done_writing()
        failed(await raised_by(methods.UnimplementedCall(Empty())), grpc.StatusCode.UNIMPLEMENTED)
        return await call.read() is grpc.aio.EOF


def futures():
    seen = []
    future = test.UnaryCall.future(SimpleRequest(response_size=3))
    future.add_done_callback(seen.append)
    assert len(future.result(timeout=10).payload.body) == 3 and future.exception() is None and future.done()
    error = test.UnimplementedCall.future(Empty()).exception()
    failed(error, grpc.StatusCode.UNIMPLEMENTED)
    slow = test.FullDuplexCall(iter((output(1, interval=5_000_000),)))
    try:
        slow.result(timeout=0.05)
    except grpc.FutureTimeoutError:
        slow.add_done_callback(seen.append)
        slow.cancel()
    many = [test.UnaryCall.future(SimpleRequest(response_size=size)) for size in range(20)]
    assert [len(each.result().payload.body) for each in many] == list(range(20))
    return seen == [future, slow]


def threads():
    """Callers in several threads share a connection."""
    got = []

    def work(size):
        got.append(sum(len(answer.payload.body) for answer in test.StreamingOutputCall(output(*[size] * 10))))

    workers = [threading.Thread(target=work, args=(size,)) for size in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(got) == [10 * size for size in range(20)]


def crowd():
    """A server takes two calls at a time."""
    with grpc.insecure_channel(os.environ["NARROW"]) as channel:
        methods = stub(channel)
        many = [methods.StreamingOutputCall(output(1), timeout=30) for _ in range(2)]
        more = [methods.UnaryCall.future(SimpleRequest(response_size=size), timeout=30) for size in range(8)]
        for each in many:
            list(each)
        return [len(each.result().payload.body) for each in more] == list(range(8))


def ready():
    with grpc.insecure_channel(os.environ["PLAIN"]) as channel:
        states, told = [], threading.Event()

        def watch(state):
            states.append(state)
            if state is grpc.ChannelConnectivity.READY:
                told.set()

        channel.subscribe(watch)
        grpc.channel_ready_future(channel).result(timeout=10)
        assert told.wait(10) and states[0] is grpc.ChannelConnectivity.IDLE, states
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        failed(raised(stub(channel).EmptyCall, Empty()), grpc.StatusCode.UNAVAILABLE)
        failed(raised(stub(channel).EmptyCall, Empty(), wait_for_ready=True, timeout=0.2), grpc.StatusCode.DEADLINE_EXCEEDED)
        try:
            grpc.channel_ready_future(channel).result(timeout=0.1)
        except grpc.FutureTimeoutError:
            pass
    try:
        stub(channel).EmptyCall(Empty())
    except ValueError as error:
        return "closed channel" in str(error)


def refusal():
    """The sandbox's rules are told to who waits for a server."""
    with grpc.insecure_channel("example.org:443") as channel:
        error = raised(stub(channel).EmptyCall, Empty(), wait_for_ready=True)
        return "--allow-net=example.org would allow it" in error.details()


def going_away():
    """A server that ends its connections lets calls end that have begun."""
    with grpc.insecure_channel(os.environ["SHORT"]) as channel:
        methods = stub(channel)
        assert len(list(methods.StreamingOutputCall(output(*range(10), interval=50_000)))) == 10
        for _ in range(10):
            methods.EmptyCall(Empty())
            time.sleep(0.05)
    return True


def peer():
    """The way to a server that may be stopped meanwhile."""
    return len(stubs["peer"].UnaryCall(SimpleRequest(response_size=3)).payload.body) == 3


async def aio_peer():
    return len((await stubs["aio"].UnaryCall(SimpleRequest(response_size=3))).payload.body) == 3


stubs = {"peer": stub(grpc.insecure_channel(os.environ["PEER"])), "aio": stub(grpc.aio.insecure_channel(os.environ["PEER"]))}


def metadata():
    bad = (("Upper", "a"),), (("a b", "c"),), (("key", "ключ"),), (("key", "a\nb"),)
    return all(failed(raised(test.EmptyCall, Empty(), metadata=each), grpc.StatusCode.INTERNAL) for each in bad)


def servers():
    try:
        grpc.server(None)
    except NotImplementedError:
        handler = grpc.unary_unary_rpc_method_handler(test.EmptyCall)
        return grpc.method_handlers_generic_handler("a.Service", {"Method": handler}).service_name() == "a.Service"


def handler(event, context):
    value = eval(event["value"])
    return asyncio.get_event_loop().run_until_complete(value) if asyncio.iscoroutine(value) else value
