"""Blocking channels, their methods and calls."""

from __future__ import annotations

import logging
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import _interfaces as interfaces
from ._codes import Compression, StatusCode
from ._credentials import ChannelCredentials
from ._failure import Failure, Outcome
from ._interfaces import FutureCancelledError, FutureTimeoutError, RpcError
from ._invocation import CANCELLED, Invocation, debug_text, run
from ._link import Link
from ._metadata import Metadata
from ._options import Options

_log = logging.getLogger(__name__)

_BAD_REQUEST = Outcome(StatusCode.INTERNAL, "Exception serializing request!")
_BAD_ITERATOR = Outcome(StatusCode.UNKNOWN, "Exception iterating requests!")
_BAD_RESPONSE = Outcome(StatusCode.INTERNAL, "Exception deserializing response!")


class _Call(RpcError, interfaces.Call, interfaces.Future):
    """A call: what is known about it, its future, and what is raised if it fails."""

    def __init__(self, method: _Method, invocation: Invocation) -> None:
        super().__init__()
        self._method = method
        self._invocation = invocation

    def __str__(self) -> str:
        name, outcome = type(self).__name__, self._invocation.outcome
        if outcome is None:
            return f"<{name} of RPC that is under way>"
        return (
            f"<{name} of RPC that terminated with:\n"
            f"\tstatus = {outcome.code}\n"
            f'\tdetails = "{outcome.details}"\n'
            f'\tdebug_error_string = "{self.debug_error_string()}"\n>'
        )

    __repr__ = __str__

    # The call.

    def initial_metadata(self) -> Metadata:
        return run(self._invocation.initial_metadata())

    def trailing_metadata(self) -> Metadata:
        return run(self._invocation.finish()).trailers

    def code(self) -> StatusCode:
        return run(self._invocation.finish()).code

    def details(self) -> str:
        return run(self._invocation.finish()).details

    def debug_error_string(self) -> str:
        """What is known about the cause of an error."""
        return debug_text(run(self._invocation.finish()), self._method.link.authority)

    def is_active(self) -> bool:
        return self._invocation.outcome is None

    def time_remaining(self) -> float | None:
        deadline = self._invocation.deadline
        return None if deadline is None else max(deadline - time.monotonic(), 0)

    def cancel(self) -> bool:
        return self._invocation.cancel(CANCELLED)

    def add_callback(self, callback: Callable[[], None]) -> bool:
        if not self._invocation.listen(callback):
            return False
        self._watch()
        return True

    def _watch(self) -> None:
        """Notice the end even if nobody reads the answers."""
        _in_background(lambda: run(self._invocation.finish()))

    # The future.

    def cancelled(self) -> bool:
        return self._invocation.outcome is CANCELLED

    def running(self) -> bool:
        return self._invocation.outcome is None

    def done(self) -> bool:
        return self._invocation.outcome is not None

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the call's end; a stream of answers is its own result."""
        outcome = self._finish(timeout)
        if outcome.ok:
            return self
        if outcome is CANCELLED:
            raise FutureCancelledError
        raise self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        outcome = self._finish(timeout)
        if outcome is CANCELLED:
            raise FutureCancelledError
        return None if outcome.ok else self

    def traceback(self, timeout: float | None = None) -> types.TracebackType | None:
        error = self.exception(timeout)
        try:
            if error is not None:
                raise error
        except RpcError as raised:
            return raised.__traceback__
        return None

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def _finish(self, timeout: float | None) -> Outcome:
        if timeout is None:
            return run(self._invocation.finish())
        ended = threading.Event()
        if self.add_callback(ended.set) and not ended.wait(timeout):
            raise FutureTimeoutError
        return run(self._invocation.finish())


class _InactiveRpcError(_Call):
    """A call that was waited for."""


class _MultiThreadedRendezvous(_Call):
    """A call that goes on while its caller does something else."""


class _FutureCall(_MultiThreadedRendezvous):
    """A call of one answer, which a thread of its own waits for."""

    def __init__(self, method: _Method, invocation: Invocation, start: Callable[[], None]) -> None:
        super().__init__(method, invocation)
        self._answer: Any = None
        self._changed = threading.Condition()  # guards what follows
        self._done = False
        self._callbacks: list[Callable[[], None]] = []
        self._start = start
        _in_background(self._wait)

    def _wait(self) -> None:
        try:
            self._start()
            self._answer = _answer(self._method, self._invocation)
        finally:
            with self._changed:
                self._done = True
                callbacks, self._callbacks = self._callbacks, []
                self._changed.notify_all()
            for callback in callbacks:
                _call_back(callback)

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._changed:
            if not self._done:
                self._callbacks.append(callback)
            return not self._done

    def done(self) -> bool:
        return self._done or self.cancelled()

    def running(self) -> bool:
        return not self.done()

    def result(self, timeout: float | None = None) -> Any:
        super().result(timeout)
        return self._answer

    def _finish(self, timeout: float | None) -> Outcome:
        with self._changed:
            if not self._changed.wait_for(self.done, timeout):
                raise FutureTimeoutError
        return run(self._invocation.finish())

    def cancel(self) -> bool:
        cancelled = super().cancel()
        with self._changed:
            self._changed.notify_all()
        return cancelled


class _StreamCall(_MultiThreadedRendezvous):
    """A call of a stream of answers: their iterator."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._next()

    def next(self) -> Any:
        """The next answer."""
        return self._next()

    def _next(self) -> Any:
        message = run(self._invocation.message())
        if message is not None:
            ok, answer = _deserialized(self._method, self._invocation, message)
            if ok:
                return answer
        if run(self._invocation.finish()).ok:
            raise StopIteration
        raise self

    def __del__(self) -> None:
        # The server need not go on if nobody can read what it sends.
        self._invocation.abandon()


def _in_background(function: Callable[[], Any]) -> None:
    threading.Thread(target=function, daemon=True).start()


def _call_back(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        _log.exception("a callback of a call has failed")


def _deserialized(method: _Method, invocation: Invocation, message: bytes) -> tuple[bool, Any]:
    """Whether a message could be read, and what it says."""
    if method.deserializer is None:
        return True, message
    try:
        return True, method.deserializer(message)
    except Exception:
        _log.exception("an answer can't be deserialized")
        invocation.fail(_BAD_RESPONSE)
        return False, None


def _answer(method: _Method, invocation: Invocation) -> Any:
    """The only answer of a call; None if it fails."""
    message = run(invocation.answer())
    return None if message is None else _deserialized(method, invocation, message)[1]


class _Method:
    """A method of a channel: what its calls have in common."""

    def __init__(
        self,
        link: Link,
        path: str | bytes,
        serializer: Callable[[Any], bytes] | None,
        deserializer: Callable[[bytes], Any] | None,
        compression: Compression | None,
    ) -> None:
        self.link = link
        self.path = path.decode() if isinstance(path, bytes) else path
        self._serializer = serializer
        self.deserializer = deserializer
        self._compression = compression

    def _invocation(
        self,
        timeout: float | None,
        metadata: Any,
        credentials: Any,
        wait_for_ready: bool | None,
        compression: Compression | None,
    ) -> Invocation:
        if compression is None:
            compression = self._compression
        return self.link.invocation(self.path, timeout, metadata, credentials, wait_for_ready, compression)

    def _serialized(self, invocation: Invocation, request: Any) -> bytes | None:
        """A request's bytes; None if there are none, which ends the call."""
        try:
            return request if self._serializer is None else self._serializer(request)
        except Exception:
            _log.exception("a request can't be serialized")
            invocation.cancel(_BAD_REQUEST)
            return None

    def _start(self, invocation: Invocation, request: Any) -> None:
        """Send a call's only request."""
        data = self._serialized(invocation, request)
        if data is not None:
            run(invocation.start(data))

    def _start_stream(self, invocation: Invocation, requests: Iterable[Any]) -> None:
        """Begin a call whose requests another thread sends, however long they take."""
        iterator = iter(requests)
        run(invocation.start(None))
        if invocation.outcome is None:
            _in_background(lambda: self._send(invocation, iterator))

    def _send(self, invocation: Invocation, requests: Iterator[Any]) -> None:
        try:
            for request in requests:
                data = self._serialized(invocation, request)
                if data is None or invocation.outcome is not None:
                    return
                run(invocation.send(data))
        except Exception:
            _log.exception("the iterator of requests has failed")
            invocation.cancel(_BAD_ITERATOR)
            return
        run(invocation.send(None))

    def _with_call(self, invocation: Invocation) -> tuple[Any, _Call]:
        answer = _answer(self, invocation)
        call = _InactiveRpcError(self, invocation)
        if not run(invocation.finish()).ok:
            raise call
        return answer, call


class _UnaryUnary(_Method, interfaces.UnaryUnaryMultiCallable):
    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self.with_call(request, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        invocation = self._invocation(timeout, metadata, credentials, wait_for_ready, compression)
        self._start(invocation, request)
        return self._with_call(invocation)

    def future(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        invocation = self._invocation(timeout, metadata, credentials, wait_for_ready, compression)
        return _FutureCall(self, invocation, lambda: self._start(invocation, request))


class _UnaryStream(_Method, interfaces.UnaryStreamMultiCallable):
    def __call__(
        self, request, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        invocation = self._invocation(timeout, metadata, credentials, wait_for_ready, compression)
        self._start(invocation, request)
        return _StreamCall(self, invocation)


class _StreamUnary(_Method, interfaces.StreamUnaryMultiCallable):
    def __call__(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        return self.with_call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        invocation = self._invocation(timeout, metadata, credentials, wait_for_ready, compression)
        self._start_stream(invocation, request_iterator)
        return self._with_call(invocation)

    def future(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        invocation = self._invocation(timeout, metadata, credentials, wait_for_ready, compression)
        return _FutureCall(self, invocation, lambda: self._start_stream(invocation, request_iterator))


class _StreamStream(_Method, interfaces.StreamStreamMultiCallable):
    def __call__(
        self,
        request_iterator,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        invocation = self._invocation(timeout, metadata, credentials, wait_for_ready, compression)
        self._start_stream(invocation, request_iterator)
        return _StreamCall(self, invocation)


class Channel(interfaces.Channel):
    """A blocking channel. It connects when it is first used."""

    def __init__(
        self,
        target: str,
        options: Iterable[tuple[str, Any]] | None,
        credentials: ChannelCredentials | None,
        compression: Compression | None,
    ) -> None:
        self._link = Link(target, Options(options), credentials)
        self._compression = compression

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        self._link.watch(callback)
        if try_to_connect:
            _in_background(lambda: self._connect(None))

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        self._link.unwatch(callback)

    def unary_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return _UnaryUnary(self._link, method, request_serializer, response_deserializer, self._compression)

    def unary_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return _UnaryStream(self._link, method, request_serializer, response_deserializer, self._compression)

    def stream_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return _StreamUnary(self._link, method, request_serializer, response_deserializer, self._compression)

    def stream_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return _StreamStream(self._link, method, request_serializer, response_deserializer, self._compression)

    def close(self) -> None:
        self._link.close()

    def _connect(self, deadline: float | None) -> Failure | None:
        """Wait for a connection; why there is none."""
        try:
            run(self._link.connection(deadline, wait_for_ready=True))
        except Failure as failure:
            return failure
        return None
