"""Interceptors of asyncio's channels."""

from __future__ import annotations

import abc
import asyncio
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Any

from .. import _interfaces
from .._codes import StatusCode
from . import _interfaces as interfaces
from ._interfaces import EOF
from ._metadata import Metadata


class ClientCallDetails(
    namedtuple(
        "ClientCallDetails",
        ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"),
        defaults=(None,),
    ),
    _interfaces.ClientCallDetails,
):
    """What is known about a call before it is made; method is bytes."""


class ClientInterceptor(abc.ABC):
    """Stands between a caller and calls."""


class UnaryUnaryClientInterceptor(ClientInterceptor, metaclass=abc.ABCMeta):
    """Stands between a caller and calls of one request and one answer."""

    @abc.abstractmethod
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Return what `await continuation(client_call_details, request)` gives, or an answer."""


class UnaryStreamClientInterceptor(ClientInterceptor, metaclass=abc.ABCMeta):
    """Stands between a caller and calls of one request and a stream of answers."""

    @abc.abstractmethod
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Return what `await continuation(client_call_details, request)` gives, or an asynchronous iterator."""


class StreamUnaryClientInterceptor(ClientInterceptor, metaclass=abc.ABCMeta):
    """Stands between a caller and calls of a stream of requests and one answer."""

    @abc.abstractmethod
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Return what `await continuation(client_call_details, request_iterator)` gives, or an answer."""


class StreamStreamClientInterceptor(ClientInterceptor, metaclass=abc.ABCMeta):
    """Stands between a caller and calls of a stream of requests and a stream of answers."""

    @abc.abstractmethod
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Return what `await continuation(client_call_details, request_iterator)` gives, or an asynchronous iterator."""


KINDS = {
    "unary_unary": UnaryUnaryClientInterceptor,
    "unary_stream": UnaryStreamClientInterceptor,
    "stream_unary": StreamUnaryClientInterceptor,
    "stream_stream": StreamStreamClientInterceptor,
}


class Answered(interfaces.UnaryUnaryCall, interfaces.StreamUnaryCall):
    """A call that an interceptor has answered by itself."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    async def initial_metadata(self) -> Metadata:
        return Metadata()

    async def trailing_metadata(self) -> Metadata:
        return Metadata()

    async def code(self) -> StatusCode:
        return StatusCode.OK

    async def details(self) -> str:
        return ""

    async def debug_error_string(self) -> str:
        return ""

    async def wait_for_connection(self) -> None:
        pass

    async def write(self, request: Any) -> None:
        raise asyncio.InvalidStateError("the call has ended")

    async def done_writing(self) -> None:
        pass

    def __await__(self) -> Generator[Any, None, Any]:
        return self._get().__await__()

    async def _get(self) -> Any:
        return self._answer


class _Requests:
    """Requests that are written while an interceptor's call goes on."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

    async def put(self, request: Any) -> None:
        await self._queue.put(request)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        request = await self._queue.get()
        if request is EOF:
            raise StopAsyncIteration
        return request


class _Intercepted(interfaces.Call):
    """A call that interceptors make, in a task of its own."""

    def __init__(
        self,
        kind: str,
        interceptors: Sequence[Any],
        make: Callable[..., Any],
        details: ClientCallDetails,
        request: Any,
    ) -> None:
        self._requests: _Requests | None = None
        if request is None and kind.startswith("stream"):
            request = self._requests = _Requests()
        self._callbacks: list[Callable[[Any], None]] = []
        self._iterator: AsyncIterator[Any] | None = None
        self._task = asyncio.get_running_loop().create_task(_intercept(kind, interceptors, make, details, request))
        self._task.add_done_callback(self._hand_on)

    def _hand_on(self, task: asyncio.Task[Any]) -> None:
        """Give the callbacks to the call that was made, if it is one."""
        for callback in self._callbacks:
            call = None if task.cancelled() or task.exception() else task.result()
            if isinstance(call, interfaces.Call):
                call.add_done_callback(lambda _, callback=callback: callback(self))  # type: ignore[misc]
            else:
                callback(self)

    @property
    def _made(self) -> Any:
        """The call, if it has been made."""
        return (
            self._task.result()
            if self._task.done() and not self._task.cancelled() and not self._task.exception()
            else None
        )

    def cancel(self) -> bool:
        made = self._made
        if made is not None:
            return made.cancel() if hasattr(made, "cancel") else False
        return self._task.cancel()

    def cancelled(self) -> bool:
        if not self._task.done():
            return False
        return self._task.cancelled() or (self._made is not None and getattr(self._made, "cancelled", bool)())

    def done(self) -> bool:
        if not self._task.done():
            return False
        return self._made is None or getattr(self._made, "done", lambda: False)()

    def time_remaining(self) -> float | None:
        return self._made.time_remaining() if isinstance(self._made, interfaces.Call) else None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)
        if self._task.done():
            self._callbacks, kept = [callback], self._callbacks
            self._hand_on(self._task)
            self._callbacks = kept

    async def initial_metadata(self) -> Metadata:
        return await self._ask("initial_metadata", Metadata())

    async def trailing_metadata(self) -> Metadata:
        return await self._ask("trailing_metadata", Metadata())

    async def code(self) -> StatusCode:
        return await self._ask("code", StatusCode.OK)

    async def details(self) -> str:
        return await self._ask("details", "")

    async def debug_error_string(self) -> str:
        return await self._ask("debug_error_string", "")

    async def wait_for_connection(self) -> None:
        call = await self._task
        if isinstance(call, interfaces.Call):
            await call.wait_for_connection()

    async def _ask(self, what: str, otherwise: Any) -> Any:
        """What the call says about its end; an error of the interceptor says it too."""
        try:
            call = await asyncio.shield(self._task)
        except _interfaces.RpcError as error:
            return getattr(error, what)()
        return await getattr(call, what)() if isinstance(call, interfaces.Call) else otherwise

    # Messages.

    async def write(self, request: Any) -> None:
        if self._requests is None:
            raise asyncio.InvalidStateError("the requests come from an iterator")
        if self.done():
            raise asyncio.InvalidStateError("the call has ended")
        await self._requests.put(request)

    async def done_writing(self) -> None:
        if self._requests is not None and not self.done():
            await self._requests.put(EOF)

    async def _wait(self) -> Any:
        try:
            return await (await self._task)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def read(self) -> Any:
        call = await self._task
        if self._iterator is None:
            self._iterator = aiter(call)
        return await anext(self._iterator, EOF)


class _OneAnswer(_Intercepted):
    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()


class _ManyAnswers(_Intercepted):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        answer = await self.read()
        if answer is EOF:
            raise StopAsyncIteration
        return answer


class InterceptedUnaryUnaryCall(_OneAnswer, interfaces.UnaryUnaryCall):
    """A call of one request and one answer."""


class InterceptedUnaryStreamCall(_ManyAnswers, interfaces.UnaryStreamCall):
    """A call of one request and a stream of answers."""


class InterceptedStreamUnaryCall(_OneAnswer, interfaces.StreamUnaryCall):
    """A call of a stream of requests and one answer."""


class InterceptedStreamStreamCall(_ManyAnswers, interfaces.StreamStreamCall):
    """A call of a stream of requests and a stream of answers."""


async def _intercept(
    kind: str, interceptors: Sequence[Any], make: Callable[..., Any], details: Any, request: Any
) -> Any:
    """Ask the first interceptor for a call, which goes on to the others."""
    if not interceptors:
        return make(details, request)

    async def go_on(details: Any, request: Any) -> Any:
        return await _intercept(kind, interceptors[1:], make, details, request)

    call = await getattr(interceptors[0], f"intercept_{kind}")(go_on, details, request)
    if isinstance(call, interfaces.Call) or kind.endswith("stream"):
        return call
    return Answered(call)


INTERCEPTED: dict[str, type[_Intercepted]] = {
    "unary_unary": InterceptedUnaryUnaryCall,
    "unary_stream": InterceptedUnaryStreamCall,
    "stream_unary": InterceptedStreamUnaryCall,
    "stream_stream": InterceptedStreamStreamCall,
}
