"""A call: what blocking and asyncio's channels have in common.

What may wait is a coroutine. asyncio awaits it; a blocking channel runs it by
`run`, and whatever it awaits blocks instead of suspending it.
"""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from ._codes import ChannelConnectivity, Compression, StatusCode
from ._credentials import CallCredentials, ChannelCredentials, auth_context, composite_call_credentials
from ._failure import Failure, Outcome
from ._framing import ACCEPTED, ENCODINGS, framed
from ._http2 import Exchange
from ._interfaces import AuthMetadataContext, AuthMetadataPlugin
from ._metadata import Headers, Metadata, decode, encode, timeout_of
from ._options import Options, parse_target

T = TypeVar("T")

# How often a call that no server has looked at is made again.
_UNPROCESSED = 3

CANCELLED = Outcome(StatusCode.CANCELLED, "Locally cancelled by application!")
CLOSED = Outcome(StatusCode.CANCELLED, "Channel closed!")
LATE = Outcome(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


class Connection(Protocol):
    """What a call needs of a connection."""

    async def begin(self, headers: Headers, data: bytes | None, limit: int, deadline: float | None) -> Exchange:
        """Begin a call when the server takes one, and send its only request."""

    async def send(self, exchange: Exchange, data: bytes, end: bool, deadline: float | None) -> None:
        """Send, and wait until the server's windows have let all of it through."""

    async def until(
        self, exchange: Exchange, happened: Callable[[Exchange], bool], deadline: float | None
    ) -> None:
        """Wait until something has happened, or the exchange has ended; it ends at the deadline."""

    def take(self, exchange: Exchange) -> bytes:
        """The next message, which is there."""

    def cancel(self, exchange: Exchange, outcome: Outcome) -> None:
        """End the exchange."""

    def abandon(self, exchange: Exchange) -> None:
        """End the exchange some time."""


class Link(abc.ABC):
    """What the calls of a channel share."""

    def __init__(self, target: str, options: Options, credentials: ChannelCredentials | None) -> None:
        self.options = options
        self.target = parse_target(target)
        self.authority = options.authority or options.server_name or self.target.authority
        self.insecure = credentials is None
        self.tls = credentials.tls if credentials else None
        self.credentials = credentials.call if credentials else None
        self.closed = False
        self.state = ChannelConnectivity.IDLE

    async def connection(self, deadline: float | None, wait_for_ready: bool) -> Connection:
        """The channel's connection, made if there is none; again and again if that is asked for.

        # Errors

        Failure.
        """
        attempt = 0
        while True:
            try:
                return await self.connected(deadline)
            except Failure as failure:
                if not wait_for_ready or failure.final or failure.outcome.code is not StatusCode.UNAVAILABLE:
                    raise
            attempt += 1
            pause = self.options.backoff(attempt)
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
            await self.sleep(max(pause, 0))

    @abc.abstractmethod
    async def connected(self, deadline: float | None) -> Connection:
        """The channel's connection, after one attempt at most.

        # Errors

        Failure.
        """

    @abc.abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""

    @abc.abstractmethod
    def lock(self) -> AbstractAsyncContextManager[Any]:
        """A new lock."""

    @abc.abstractmethod
    async def ask(self, plugin: AuthMetadataPlugin, context: AuthMetadataContext, deadline: float | None) -> Any:
        """The metadata that a plugin gives."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a blocking call has been suspended")


class Invocation:
    """A call, in as many attempts as it takes."""

    def __init__(
        self,
        link: Link,
        method: str,
        timeout: float | None,
        metadata: Any,
        credentials: CallCredentials | None,
        wait_for_ready: bool | None,
        compression: Compression | None,
    ) -> None:
        self._link = link
        self._method = method
        self._config = link.options.method(method)
        timeouts = [t for t in (timeout, self._config.timeout) if t is not None]
        self.deadline = time.monotonic() + min(timeouts) if timeouts else None
        self._metadata = metadata
        self._headers: Headers = []
        self._credentials = composite_call_credentials(*(c for c in (link.credentials, credentials) if c))
        self._wait = bool(self._config.wait_for_ready if wait_for_ready is None else wait_for_ready)
        self._compression = compression
        self._request: bytes | None = None
        self._attempts = self._unprocessed = 0
        self._connection: Connection | None = None
        self._exchange: Exchange | None = None
        self.outcome: Outcome | None = None
        self._lock = threading.Lock()  # guards the outcome
        self._turn = link.lock()  # of who makes another attempt
        self._listeners: list[Callable[[], None]] = []

    # What a call does, in its order.

    async def start(self, request: bytes | None) -> None:
        """Make the first attempt; None is a stream of requests, which `send` sends."""
        try:
            self._headers = self._encoded()
            if request is not None:
                self._request = framed(request, self._compression, self._link.options.max_send)
        except Failure as failure:
            self.end(failure.outcome)
            return
        await self._go_on(await self._attempt())

    async def send(self, request: bytes | None) -> None:
        """Send one of a stream of requests; None ends it."""
        if self.outcome is not None or self._connection is None or self._exchange is None:
            return
        try:
            data = b"" if request is None else framed(request, self._compression, self._link.options.max_send)
        except Failure as failure:
            self.cancel(failure.outcome)
            return
        await self._connection.send(self._exchange, data, request is None, self.deadline)

    async def initial_metadata(self) -> Metadata:
        """What the server sent before its answers."""
        await self._until(lambda exchange: exchange.headers is not None)
        exchange = self._exchange
        return decode(exchange.headers or ()) if exchange else ()

    async def message(self) -> bytes | None:
        """The next answer; None if the call has ended."""
        await self._until(lambda exchange: bool(exchange.messages))
        if self._connection and self._exchange and self._exchange.messages:
            return self._connection.take(self._exchange)
        return None

    async def answer(self) -> bytes | None:
        """The only answer; None if the call has failed."""
        await self._until(lambda exchange: len(exchange.messages) > 1)
        messages = self._exchange.messages if self._exchange else ()
        if self.outcome is None or (self.outcome.ok and len(messages) != 1):
            count = "more than one answer" if messages else "no answer"
            self.fail(Outcome(StatusCode.INTERNAL, f"the server sent {count} to a call that has one"))
        return messages[0] if self.outcome is not None and self.outcome.ok and messages else None

    async def finish(self) -> Outcome:
        """Wait until the call has ended."""
        await self._until(lambda exchange: False)
        assert self.outcome is not None
        return self.outcome

    def cancel(self, outcome: Outcome) -> bool:
        """End the call from here; whether it had not ended."""
        ended = self.end(outcome)
        if self._connection is not None and self._exchange is not None:
            self._exchange.messages.clear()
            self._connection.cancel(self._exchange, outcome)
        return ended

    def fail(self, outcome: Outcome) -> None:
        """Replace the outcome, if the call has ended well: the answer can't be used."""
        if not self.cancel(outcome):
            self.outcome = outcome

    def abandon(self) -> None:
        """End the call, of which nobody will hear any more."""
        if self.outcome is None and self._connection is not None and self._exchange is not None:
            self._connection.abandon(self._exchange)

    def end(self, outcome: Outcome) -> bool:
        """Note how the call ended; whether it had not ended."""
        with self._lock:
            if self.outcome is not None:
                return False
            self.outcome = outcome
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()
        return True

    def listen(self, listener: Callable[[], None]) -> bool:
        """Have a function called when the call ends; False if it has ended."""
        with self._lock:
            if self.outcome is not None:
                return False
            self._listeners.append(listener)
            return True

    # Attempts.

    async def _until(self, happened: Callable[[Exchange], bool]) -> None:
        """Wait until something has happened in an attempt, or the call has ended."""
        while self.outcome is None:
            connection, exchange = self._connection, self._exchange
            assert connection is not None and exchange is not None
            await connection.until(exchange, happened, self.deadline)
            if not exchange.ended:
                return
            async with self._turn:
                if self._exchange is exchange:
                    await self._go_on(exchange.outcome, committed=exchange.headers is not None)

    async def _go_on(self, failed: Outcome | None, *, committed: bool = False) -> None:
        """After an attempt has ended: make another one, or end the call."""
        while failed is not None and await self._may_retry(failed, committed=committed):
            failed = await self._attempt()
        if failed is not None:
            # The server knows the deadline, and may be first to notice that it has passed.
            late = failed.code is StatusCode.CANCELLED and self.deadline is not None and self.deadline <= time.monotonic()
            self.end(LATE if late else failed)

    async def _attempt(self) -> Outcome | None:
        """Begin an attempt; its outcome if it fails at once."""
        link = self._link
        try:
            self._check(link.insecure)
            # Before the connection: a plugin may take its time, or call.
            added = await self._ask()
            connection = await link.connection(self.deadline, self._wait)
            headers = self._headers + self._more() + added
            exchange = await connection.begin(headers, self._request, link.options.max_receive, self.deadline)
        except Failure as failure:
            return failure.outcome
        self._connection, self._exchange = connection, exchange
        if self.outcome is not None:  # cancelled meanwhile
            connection.cancel(exchange, self.outcome)
        return None

    def _check(self, insecure: bool) -> None:
        if self.deadline is not None and self.deadline <= time.monotonic():
            raise Failure(LATE.code, LATE.details)
        if insecure and self._credentials.plugins:
            raise Failure(
                StatusCode.UNAUTHENTICATED,
                "Established channel does not have a sufficient security level to transfer call credential.",
            )

    async def _ask(self) -> Headers:
        """What the credentials add."""
        added: Headers = []
        if self._credentials.plugins:
            context = auth_context(self._link.authority, self._method)
            for plugin in self._credentials.plugins:
                try:
                    added += encode(await self._link.ask(plugin, context, self.deadline))
                except Failure:
                    raise
                except Exception as error:
                    raise Failure(
                        StatusCode.UNAVAILABLE, f"Getting metadata from plugin failed with error: {error}"
                    ) from error
        return added

    def _encoded(self) -> Headers:
        """The headers that all attempts have."""
        try:
            metadata = encode(self._metadata)
        except ValueError as error:
            raise Failure(StatusCode.INTERNAL, f"Invalid metadata: {error}") from error
        headers = [
            (b":method", b"POST"),
            (b":scheme", b"http" if self._link.tls is None else b"https"),
            (b":path", self._method.encode()),
            (b":authority", self._link.authority.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", self._link.options.user_agent),
            (b"grpc-accept-encoding", ACCEPTED),
        ]
        if self._compression in ENCODINGS:
            headers.append((b"grpc-encoding", ENCODINGS[self._compression]))
        return headers + metadata

    def _more(self) -> Headers:
        """The headers of one attempt."""
        headers = []
        if self.deadline is not None:
            headers.append((b"grpc-timeout", timeout_of(self.deadline - time.monotonic())))
        if self._attempts:
            headers.append((b"grpc-previous-rpc-attempts", b"%d" % self._attempts))
        return headers

    async def _may_retry(self, failed: Outcome, *, committed: bool) -> bool:
        """Whether to make another attempt; waits before it as long as is proper."""
        throttle = self._link.options.throttle
        if failed.ok:
            if throttle:
                throttle.succeeded()
            return False
        if committed or self.outcome is not None or self._request is None:
            return False
        if failed.unprocessed and self._unprocessed < _UNPROCESSED:
            self._unprocessed += 1
            return True
        policy = self._config.retry
        if policy is None or failed.code not in policy.codes:
            return False
        self._attempts += 1
        if throttle and not throttle.failed() or self._attempts >= policy.attempts:
            return False
        pause = policy.backoff(self._attempts)
        pushback = dict(failed.trailers).get("grpc-retry-pushback-ms")
        if pushback is not None:
            if not str(pushback).isdecimal():
                return False  # the server asks for no retry
            pause = int(pushback) / 1000
        if self.deadline is not None and time.monotonic() + pause >= self.deadline:
            pause = self.deadline - time.monotonic()
        await self._link.sleep(max(pause, 0))
        return self.outcome is None


def debug_text(outcome: Outcome, authority: str) -> str:
    """What is known about an outcome, for those who look for its cause."""
    return (
        f"UNKNOWN:Error received from peer {authority} "
        f'{{grpc_status:{outcome.code.value[0]}, grpc_message:"{outcome.details}"}}'
    )
