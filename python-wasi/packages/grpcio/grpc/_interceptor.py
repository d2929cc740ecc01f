"""Interceptors of blocking channels."""

from __future__ import annotations

import types
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

from . import _interfaces as interfaces
from ._codes import StatusCode
from ._interfaces import Future, RpcError
from ._metadata import Metadata


class Details(
    namedtuple("Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")),
    interfaces.ClientCallDetails,
):
    """What is known about a call before it is made."""

    def arguments(self) -> dict[str, Any]:
        """How the call is told to a method."""
        arguments = self._asdict()
        del arguments["method"]
        return arguments

    def changed(self, other: Any) -> Details:
        """These details as an interceptor has changed them; what it leaves out stays."""
        return Details(*(getattr(other, field, getattr(self, field)) for field in self._fields))


class _Done(interfaces.Call, Future):
    """A call that has ended, with an answer or an exception."""

    def __init__(self, answer: Any, call: Any, error: Exception | None = None) -> None:
        self._answer = answer
        self._call = call
        self._error = error

    def initial_metadata(self) -> Metadata:
        return self._call.initial_metadata() if self._call else ()

    def trailing_metadata(self) -> Metadata:
        return self._call.trailing_metadata() if self._call else ()

    def code(self) -> StatusCode:
        return self._call.code() if self._call else StatusCode.INTERNAL

    def details(self) -> str:
        return self._call.details() if self._call else "Exception raised while intercepting the RPC"

    def debug_error_string(self) -> str:
        return self._call.debug_error_string() if self._call else ""

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return None

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> Any:
        if self._error is not None:
            raise self._error
        return self._answer

    def exception(self, timeout: float | None = None) -> Exception | None:
        return self._error

    def traceback(self, timeout: float | None = None) -> types.TracebackType | None:
        return self._error.__traceback__ if self._error else None

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        fn(self)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.result()


class _Intercepted:
    """A method behind an interceptor."""

    def __init__(self, make: Callable[[str], Any], method: str, intercept: Callable[..., Any]) -> None:
        self._make = make
        self._method = method
        self._intercept = intercept

    def _call(self, call: Callable[[Any, Any, dict[str, Any]], Any], request: Any, *given: Any) -> Any:
        """Have the interceptor make a call, which call(method, request, arguments) does in the end."""
        details = Details(self._method, *given)

        def go_on(changed: Any, request: Any) -> Any:
            new = details.changed(changed)
            return call(self._make(new.method), request, new.arguments())

        return self._intercept(go_on, details, request)


def _blocking(method: Any, request: Any, arguments: dict[str, Any]) -> Any:
    try:
        return _Done(*method.with_call(request, **arguments))
    except RpcError as error:
        # The errors of calls are calls themselves.
        return error if isinstance(error, Future) else _Done(None, None, error)
    except Exception as error:
        return _Done(None, None, error)


def _future(method: Any, request: Any, arguments: dict[str, Any]) -> Any:
    return method.future(request, **arguments)


def _stream(method: Any, request: Any, arguments: dict[str, Any]) -> Any:
    return method(request, **arguments)


class _OneAnswer(_Intercepted):
    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self.with_call(request, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        call = self._call(_blocking, request, timeout, metadata, credentials, wait_for_ready, compression)
        return call.result(), call

    def future(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        try:
            return self._call(_future, request, timeout, metadata, credentials, wait_for_ready, compression)
        except Exception as error:
            return _Done(None, None, error)


class _ManyAnswers(_Intercepted):
    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        try:
            return self._call(_stream, request, timeout, metadata, credentials, wait_for_ready, compression)
        except Exception as error:
            return _Done(None, None, error)


class _UnaryUnary(_OneAnswer, interfaces.UnaryUnaryMultiCallable):
    pass


class _StreamUnary(_OneAnswer, interfaces.StreamUnaryMultiCallable):
    pass


class _UnaryStream(_ManyAnswers, interfaces.UnaryStreamMultiCallable):
    pass


class _StreamStream(_ManyAnswers, interfaces.StreamStreamMultiCallable):
    pass


class _Channel(interfaces.Channel):
    """A channel whose calls an interceptor sees."""

    def __init__(self, channel: interfaces.Channel, interceptor: Any) -> None:
        self._channel = channel
        self._interceptor = interceptor

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        self._channel.unsubscribe(callback)

    def unary_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method("unary_unary", _UnaryUnary, method, request_serializer, response_deserializer)

    def unary_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method("unary_stream", _UnaryStream, method, request_serializer, response_deserializer)

    def stream_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method("stream_unary", _StreamUnary, method, request_serializer, response_deserializer)

    def stream_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method("stream_stream", _StreamStream, method, request_serializer, response_deserializer)

    def close(self) -> None:
        self._channel.close()

    def _method(self, kind: str, wrapper: Any, method: Any, *serializers: Any) -> Any:
        def make(path: str) -> Any:
            return getattr(self._channel, kind)(path, *serializers)

        intercept = getattr(self._interceptor, f"intercept_{kind}", None)
        if intercept is None:
            return make(method)
        return wrapper(make, method.decode() if isinstance(method, bytes) else method, intercept)


_KINDS = (
    interfaces.UnaryUnaryClientInterceptor,
    interfaces.UnaryStreamClientInterceptor,
    interfaces.StreamUnaryClientInterceptor,
    interfaces.StreamStreamClientInterceptor,
)


def intercept_channel(channel: interfaces.Channel, *interceptors: Any) -> interfaces.Channel:
    """A channel whose calls the interceptors see, the first of them first."""
    for interceptor in reversed(interceptors):
        if not isinstance(interceptor, _KINDS):
            raise TypeError(f"{interceptor!r} is no interceptor of a client")
        channel = _Channel(channel, interceptor)
    return channel
