"""The abstract classes of the public interface."""

from __future__ import annotations

import abc
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any


class FutureTimeoutError(Exception):
    """A future has not got its result in time."""


class FutureCancelledError(Exception):
    """A future was cancelled."""


class Future(abc.ABC):
    """A result that may come later."""

    @abc.abstractmethod
    def cancel(self) -> bool:
        """Try to prevent the result; whether that has worked."""

    @abc.abstractmethod
    def cancelled(self) -> bool:
        """Whether it was cancelled."""

    @abc.abstractmethod
    def running(self) -> bool:
        """Whether the result is still to come."""

    @abc.abstractmethod
    def done(self) -> bool:
        """Whether there is a result, an exception, or none will come."""

    @abc.abstractmethod
    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result, and return it or raise the exception."""

    @abc.abstractmethod
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the exception; None if there is a result."""

    @abc.abstractmethod
    def traceback(self, timeout: float | None = None) -> Any:
        """Wait for the exception's traceback."""

    @abc.abstractmethod
    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Have a function called with the future when it is done."""


class RpcError(Exception):
    """A call has failed."""


class RpcContext(abc.ABC):
    """What both sides know about a call."""

    @abc.abstractmethod
    def is_active(self) -> bool:
        """Whether the call has not ended."""

    @abc.abstractmethod
    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""

    @abc.abstractmethod
    def cancel(self) -> Any:
        """End the call."""

    @abc.abstractmethod
    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have a function called when the call ends; False if it has ended."""


class Call(RpcContext, metaclass=abc.ABCMeta):
    """The client's side of a call."""

    @abc.abstractmethod
    def initial_metadata(self) -> Any:
        """What the server sent before its answer; waits for it."""

    @abc.abstractmethod
    def trailing_metadata(self) -> Any:
        """What the server sent after its answer; waits for it."""

    @abc.abstractmethod
    def code(self) -> Any:
        """How the call ended; waits for it."""

    @abc.abstractmethod
    def details(self) -> Any:
        """What the server says about that; waits for it."""


class ClientCallDetails(abc.ABC):
    """What an interceptor may change about a call: method, timeout, metadata, credentials, wait_for_ready, compression."""


class UnaryUnaryClientInterceptor(abc.ABC):
    """Stands between a caller and calls of one request and one answer."""

    @abc.abstractmethod
    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Return what continuation(client_call_details, request) returns, or something like it."""


class UnaryStreamClientInterceptor(abc.ABC):
    """Stands between a caller and calls of one request and a stream of answers."""

    @abc.abstractmethod
    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Return what continuation(client_call_details, request) returns, or something like it."""


class StreamUnaryClientInterceptor(abc.ABC):
    """Stands between a caller and calls of a stream of requests and one answer."""

    @abc.abstractmethod
    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Return what continuation(client_call_details, request_iterator) returns, or something like it."""


class StreamStreamClientInterceptor(abc.ABC):
    """Stands between a caller and calls of a stream of requests and a stream of answers."""

    @abc.abstractmethod
    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Return what continuation(client_call_details, request_iterator) returns, or something like it."""


class AuthMetadataContext(abc.ABC):
    """What a plugin is told about a call: service_url and method_name."""


class AuthMetadataPluginCallback(abc.ABC):
    """What a plugin calls with the metadata, and an exception or None."""

    def __call__(self, metadata: Iterable[tuple[str, str | bytes]], error: Exception | None) -> None:
        """Take the metadata."""


class AuthMetadataPlugin(abc.ABC):
    """Adds metadata to calls."""

    def __call__(self, context: AuthMetadataContext, callback: AuthMetadataPluginCallback) -> None:
        """Call the callback, now or later."""


class UnaryUnaryMultiCallable(abc.ABC):
    """A method of one request and one answer."""

    @abc.abstractmethod
    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        """Call and return the answer."""

    @abc.abstractmethod
    def with_call(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        """Call and return the answer and the call."""

    @abc.abstractmethod
    def future(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        """Begin a call and return it; it is a future too."""


class UnaryStreamMultiCallable(abc.ABC):
    """A method of one request and a stream of answers."""

    @abc.abstractmethod
    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        """Begin a call and return it; it is an iterator of the answers."""


class StreamUnaryMultiCallable(abc.ABC):
    """A method of a stream of requests and one answer."""

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        """Call and return the answer."""

    @abc.abstractmethod
    def with_call(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        """Call and return the answer and the call."""

    @abc.abstractmethod
    def future(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        """Begin a call and return it; it is a future too."""


class StreamStreamMultiCallable(abc.ABC):
    """A method of a stream of requests and a stream of answers."""

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        """Begin a call and return it; it is an iterator of the answers."""


class Channel(abc.ABC):
    """A way to a server."""

    @abc.abstractmethod
    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        """Have a function called with the channel's state, now and whenever it changes."""

    @abc.abstractmethod
    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """End a subscription."""

    @abc.abstractmethod
    def unary_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        """A method of one request and one answer."""

    @abc.abstractmethod
    def unary_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        """A method of one request and a stream of answers."""

    @abc.abstractmethod
    def stream_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        """A method of a stream of requests and one answer."""

    @abc.abstractmethod
    def stream_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        """A method of a stream of requests and a stream of answers."""

    @abc.abstractmethod
    def close(self) -> None:
        """End all calls and the connection."""

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Status(abc.ABC):
    """A status that a server ends a call with: code, details, trailing_metadata."""


class ServicerContext(RpcContext, metaclass=abc.ABCMeta):
    """The server's side of a call."""


class RpcMethodHandler(abc.ABC):
    """How a server processes a method's calls."""


class HandlerCallDetails(abc.ABC):
    """What a server knows about a call: method and invocation_metadata."""


class GenericRpcHandler(abc.ABC):
    """Finds the handlers of methods."""

    @abc.abstractmethod
    def service(self, handler_call_details: HandlerCallDetails) -> RpcMethodHandler | None:
        """The handler for a call, or None."""


class ServiceRpcHandler(GenericRpcHandler, metaclass=abc.ABCMeta):
    """Finds the handlers of one service's methods."""

    @abc.abstractmethod
    def service_name(self) -> str:
        """The service's name."""


class ServerInterceptor(abc.ABC):
    """Stands between a server and its handlers."""

    @abc.abstractmethod
    def intercept_service(self, continuation: Any, handler_call_details: HandlerCallDetails) -> Any:
        """Return what continuation(handler_call_details) returns, or something like it."""


class Server(abc.ABC):
    """A server."""


class _MethodHandler(
    namedtuple(
        "_MethodHandler",
        (
            "request_streaming", "response_streaming", "request_deserializer", "response_serializer",
            "unary_unary", "unary_stream", "stream_unary", "stream_stream",
        ),
    ),
    RpcMethodHandler,
):  # fmt: skip
    pass


def unary_unary_rpc_method_handler(behavior, request_deserializer=None, response_serializer=None):
    """A handler for a method of one request and one answer."""
    return _MethodHandler(False, False, request_deserializer, response_serializer, behavior, None, None, None)


def unary_stream_rpc_method_handler(behavior, request_deserializer=None, response_serializer=None):
    """A handler for a method of one request and a stream of answers."""
    return _MethodHandler(False, True, request_deserializer, response_serializer, None, behavior, None, None)


def stream_unary_rpc_method_handler(behavior, request_deserializer=None, response_serializer=None):
    """A handler for a method of a stream of requests and one answer."""
    return _MethodHandler(True, False, request_deserializer, response_serializer, None, None, behavior, None)


def stream_stream_rpc_method_handler(behavior, request_deserializer=None, response_serializer=None):
    """A handler for a method of a stream of requests and a stream of answers."""
    return _MethodHandler(True, True, request_deserializer, response_serializer, None, None, None, behavior)


class _Handlers(ServiceRpcHandler):
    def __init__(self, service: str, handlers: dict[str, RpcMethodHandler]) -> None:
        self._service = service
        self._handlers = {f"/{service}/{method}": handler for method, handler in handlers.items()}

    def service_name(self) -> str:
        return self._service

    def service(self, handler_call_details: Any) -> RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def method_handlers_generic_handler(
    service: str, method_handlers: dict[str, RpcMethodHandler]
) -> GenericRpcHandler:
    """A handler for a service, of handlers for its methods by name."""
    return _Handlers(service, method_handlers)
