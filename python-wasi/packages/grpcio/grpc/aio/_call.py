"""asyncio's calls."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

from .._codes import StatusCode
from .._failure import Outcome
from .._invocation import CANCELLED, Invocation, debug_text
from . import _interfaces as interfaces
from ._errors import AioRpcError
from ._interfaces import EOF
from ._metadata import Metadata

_log = logging.getLogger(__name__)

_BAD_REQUEST = Outcome(StatusCode.INTERNAL, "Exception serializing request!")
_BAD_ITERATOR = Outcome(StatusCode.UNKNOWN, "Exception iterating requests!")
_BAD_RESPONSE = Outcome(StatusCode.INTERNAL, "Exception deserializing response!")

Serializer = Callable[[Any], bytes] | None
Deserializer = Callable[[bytes], Any] | None


class _Call(interfaces.Call):
    """A call, which goes on in a task of its own."""

    def __init__(
        self, invocation: Invocation, authority: str, serializer: Serializer, deserializer: Deserializer
    ) -> None:
        self._invocation = invocation
        self._authority = authority
        self._serializer = serializer
        self._deserializer = deserializer
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.create_future()
        self._tasks: list[asyncio.Task[Any]] = []

    def _run(self, step: Awaitable[Any]) -> asyncio.Task[Any]:
        """Do something in a task, which the call's cancellation ends."""

        async def run() -> Any:
            try:
                return await step
            except asyncio.CancelledError:
                self._invocation.cancel(CANCELLED)
            finally:
                if not self._started.done():
                    self._started.set_result(None)

        task = self._loop.create_task(run())
        self._tasks.append(task)
        return task

    async def _start(self, request: bytes | None) -> None:
        await self._invocation.start(request)
        if not self._started.done():
            self._started.set_result(None)

    async def _begun(self) -> None:
        if not self._started.done():
            await asyncio.shield(self._started)

    async def _finish(self) -> Outcome:
        await self._begun()
        return await self._invocation.finish()

    def __repr__(self) -> str:
        outcome = self._invocation.outcome
        return f"<{type(self).__name__} {outcome or 'under way'}>"

    # What is known about it.

    def cancel(self) -> bool:
        cancelled = self._invocation.cancel(CANCELLED)
        for task in self._tasks:
            task.cancel()
        return cancelled

    def cancelled(self) -> bool:
        return self._invocation.outcome is CANCELLED

    def done(self) -> bool:
        return self._invocation.outcome is not None

    def time_remaining(self) -> float | None:
        deadline = self._invocation.deadline
        return None if deadline is None else max(deadline - time.monotonic(), 0)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        def call_back() -> None:
            self._loop.call_soon(callback, self)

        if self._invocation.listen(call_back):
            self._run(self._finish())  # so that the end is noticed
        else:
            callback(self)

    async def initial_metadata(self) -> Metadata:
        await self._begun()
        return Metadata(*await self._invocation.initial_metadata())

    async def trailing_metadata(self) -> Metadata:
        return Metadata(*(await self._finish()).trailers)

    async def code(self) -> StatusCode:
        return (await self._finish()).code

    async def details(self) -> str:
        return (await self._finish()).details

    async def debug_error_string(self) -> str:
        """What is known about the cause of an error."""
        return debug_text(await self._finish(), self._authority)

    async def wait_for_connection(self) -> None:
        await self._begun()
        if self._invocation.outcome is not None:
            await self._check()

    async def _check(self) -> None:
        """Raise the call's error."""
        outcome = await self._finish()
        if outcome is CANCELLED:
            raise asyncio.CancelledError
        if not outcome.ok:
            raise AioRpcError(
                outcome.code,
                Metadata(*await self._invocation.initial_metadata()),
                Metadata(*outcome.trailers),
                outcome.details,
                debug_text(outcome, self._authority),
            )

    # Messages.

    def _serialized(self, request: Any) -> bytes | None:
        """A request's bytes; None if there are none, which ends the call."""
        try:
            return request if self._serializer is None else self._serializer(request)
        except Exception:
            _log.exception("a request can't be serialized")
            self._invocation.cancel(_BAD_REQUEST)
            return None

    def _deserialized(self, message: bytes) -> Any:
        try:
            return message if self._deserializer is None else self._deserializer(message)
        except Exception:
            _log.exception("an answer can't be deserialized")
            self._invocation.fail(_BAD_RESPONSE)
            return None


class _OneRequest(_Call):
    """Sends one request."""

    async def _send(self, request: Any) -> None:
        data = self._serialized(request)
        if data is not None:
            await self._start(data)


class _ManyRequests(_Call):
    """Sends those of an iterator, or what is written."""

    def __init__(self, *arguments: Any, requests: Any = None) -> None:
        super().__init__(*arguments)
        self._closed = False
        self._run(self._start(None))
        if requests is not None:
            self._run(self._send(requests))

    async def _send(self, requests: Any) -> None:
        await self._begun()
        try:
            if hasattr(requests, "__aiter__"):
                async for request in requests:
                    if not await self._put(request):
                        return
            else:
                for request in requests:
                    if not await self._put(request):
                        return
        except Exception:
            _log.exception("the iterator of requests has failed")
            self._invocation.cancel(_BAD_ITERATOR)
            return
        await self.done_writing()

    async def _put(self, request: Any) -> bool:
        """Send a request; whether the call goes on."""
        data = self._serialized(request)
        if data is not None and self._invocation.outcome is None:
            await self._invocation.send(data)
        return self._invocation.outcome is None

    async def write(self, request: Any) -> None:
        if self._invocation.outcome is not None:
            await self._check()
            raise asyncio.InvalidStateError("the call has ended")
        if self._closed:
            raise asyncio.InvalidStateError("the stream of requests has been ended")
        await self._begun()
        try:
            await self._put(request)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._invocation.outcome is not None:
            await self._check()

    async def done_writing(self) -> None:
        if self._invocation.outcome is not None or self._closed:
            return
        self._closed = True
        await self._begun()
        await self._invocation.send(None)


class _OneAnswer(_Call):
    """Has one answer, which is awaited."""

    _task: asyncio.Task[Any]

    async def _answer(self) -> Any:
        await self._begun()
        message = await self._invocation.answer()
        return None if message is None else self._deserialized(message)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        if not self._task.done():
            try:
                await asyncio.shield(self._task)
            except asyncio.CancelledError:
                self.cancel()
                raise
        await self._check()
        return self._task.result()

    def done(self) -> bool:
        return self._task.done() or self.cancelled()


class _ManyAnswers(_Call):
    """Has a stream of answers."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        answer = await self.read()
        if answer is EOF:
            raise StopAsyncIteration
        return answer

    async def read(self) -> Any:
        try:
            await self._begun()
            message = await self._invocation.message()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if message is not None:
            answer = self._deserialized(message)
            if self._invocation.outcome is not _BAD_RESPONSE:
                return answer
        await self._check()
        return EOF

    def __del__(self) -> None:
        # The server need not go on if nobody can read what it sends.
        self._invocation.abandon()


class UnaryUnaryCall(_OneRequest, _OneAnswer, interfaces.UnaryUnaryCall):
    """A call of one request and one answer."""

    def __init__(self, *arguments: Any, request: Any) -> None:
        super().__init__(*arguments)
        self._task = self._run(self._make(request))

    async def _make(self, request: Any) -> Any:
        await self._send(request)
        return await self._answer() if self._started.done() else None


class UnaryStreamCall(_OneRequest, _ManyAnswers, interfaces.UnaryStreamCall):
    """A call of one request and a stream of answers."""

    def __init__(self, *arguments: Any, request: Any) -> None:
        super().__init__(*arguments)
        self._run(self._send(request))


class StreamUnaryCall(_ManyRequests, _OneAnswer, interfaces.StreamUnaryCall):
    """A call of a stream of requests and one answer."""

    def __init__(self, *arguments: Any, requests: Any = None) -> None:
        super().__init__(*arguments, requests=requests)
        self._task = self._run(self._answer())


class StreamStreamCall(_ManyRequests, _ManyAnswers, interfaces.StreamStreamCall):
    """A call of a stream of requests and a stream of answers."""
