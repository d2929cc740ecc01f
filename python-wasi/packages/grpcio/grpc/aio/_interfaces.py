"""The abstract classes of the public interface."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Callable, Generator
from types import GenericAlias
from typing import Any

from .._codes import StatusCode
from ._metadata import Metadata


class _EOF:
    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<grpc.aio.EOF>"


EOF = _EOF()


class RpcContext(abc.ABC):
    """What both sides know about a call."""

    @abc.abstractmethod
    def cancelled(self) -> bool:
        """Whether the call was cancelled."""

    @abc.abstractmethod
    def done(self) -> bool:
        """Whether the call has ended."""

    @abc.abstractmethod
    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""

    @abc.abstractmethod
    def cancel(self) -> bool:
        """End the call; whether it had not ended."""

    @abc.abstractmethod
    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Have a function called with the call when it has ended."""


class Call(RpcContext, metaclass=abc.ABCMeta):
    """The client's side of a call; in annotations with the types of request and answer."""

    __class_getitem__ = classmethod(GenericAlias)

    @abc.abstractmethod
    async def initial_metadata(self) -> Metadata:
        """What the server sent before its answer."""

    @abc.abstractmethod
    async def trailing_metadata(self) -> Metadata:
        """What the server sent after its answer."""

    @abc.abstractmethod
    async def code(self) -> StatusCode:
        """How the call ended."""

    @abc.abstractmethod
    async def details(self) -> str:
        """What the server says about that."""

    @abc.abstractmethod
    async def wait_for_connection(self) -> None:
        """Wait until the call has reached a connection; raises its error if it does not."""


class UnaryUnaryCall(Call, metaclass=abc.ABCMeta):
    """A call of one request and one answer, to be awaited."""

    @abc.abstractmethod
    def __await__(self) -> Generator[Any, None, Any]:
        """The answer."""


class UnaryStreamCall(Call, metaclass=abc.ABCMeta):
    """A call of one request and a stream of answers."""

    @abc.abstractmethod
    def __aiter__(self) -> AsyncIterator[Any]:
        """The answers."""

    @abc.abstractmethod
    async def read(self) -> Any:
        """The next answer, or EOF."""


class StreamUnaryCall(Call, metaclass=abc.ABCMeta):
    """A call of a stream of requests and one answer, to be awaited."""

    @abc.abstractmethod
    async def write(self, request: Any) -> None:
        """Send a request."""

    @abc.abstractmethod
    async def done_writing(self) -> None:
        """End the stream of requests."""

    @abc.abstractmethod
    def __await__(self) -> Generator[Any, None, Any]:
        """The answer."""


class StreamStreamCall(Call, metaclass=abc.ABCMeta):
    """A call of a stream of requests and a stream of answers."""

    @abc.abstractmethod
    def __aiter__(self) -> AsyncIterator[Any]:
        """The answers."""

    @abc.abstractmethod
    async def read(self) -> Any:
        """The next answer, or EOF."""

    @abc.abstractmethod
    async def write(self, request: Any) -> None:
        """Send a request."""

    @abc.abstractmethod
    async def done_writing(self) -> None:
        """End the stream of requests."""


class _MultiCallable(abc.ABC):
    __class_getitem__ = classmethod(GenericAlias)

    @abc.abstractmethod
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Begin a call."""


class UnaryUnaryMultiCallable(_MultiCallable):
    """A method of one request and one answer."""


class UnaryStreamMultiCallable(_MultiCallable):
    """A method of one request and a stream of answers."""


class StreamUnaryMultiCallable(_MultiCallable):
    """A method of a stream of requests and one answer."""


class StreamStreamMultiCallable(_MultiCallable):
    """A method of a stream of requests and a stream of answers."""


class Channel(abc.ABC):
    """A way to a server."""

    @abc.abstractmethod
    async def __aenter__(self) -> Channel:
        """The channel itself, which is closed at the end."""

    @abc.abstractmethod
    async def __aexit__(self, *exception: object) -> None:
        """Close it."""

    @abc.abstractmethod
    async def close(self, grace: float | None = None) -> None:
        """End all calls, those that have not ended by themselves after so many seconds, and the connection."""

    @abc.abstractmethod
    def get_state(self, try_to_connect: bool = False) -> Any:
        """The channel's state."""

    @abc.abstractmethod
    async def wait_for_state_change(self, last_observed_state: Any) -> None:
        """Wait until the state is another one."""

    @abc.abstractmethod
    async def channel_ready(self) -> None:
        """Wait until the channel is connected."""

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


class Server(abc.ABC):
    """A server."""


class ServicerContext(RpcContext, metaclass=abc.ABCMeta):
    """The server's side of a call."""


class ServerInterceptor(abc.ABC):
    """Stands between a server and its handlers."""
