"""asyncio's way to a server: one connection for each event loop."""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
import time
import weakref
from collections.abc import Callable
from typing import Any, cast

from .. import _invocation
from .._blocking import CHUNK, CONNECT_TIMEOUT, check_protocol, connect_failure
from .._codes import ChannelConnectivity, StatusCode
from .._credentials import ChannelCredentials, Token
from .._failure import Failure, Outcome
from .._http2 import Exchange, Session
from .._interfaces import AuthMetadataContext, AuthMetadataPlugin
from .._invocation import CLOSED, LATE, Invocation
from .._metadata import Headers
from .._options import Options

# How often the loop may run before a connection that has been idle is used.
_ROUNDS = 8


class Connection(asyncio.BufferedProtocol):
    """A connection of one event loop."""

    def __init__(self, options: Options) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._session = Session(options.max_metadata)
        self._transport: asyncio.Transport | None = None
        # A slice of it has to be the same bytes, not a copy.
        self._buffer = memoryview(bytearray(CHUNK))
        self._paused = False
        self._waiting: set[asyncio.Future[None]] = set()  # for the connection itself
        self._timer: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether calls can be begun, as far as is known."""
        return not self._session.draining

    async def settle(self) -> None:
        """Wait for the server's settings.

        # Errors

        Failure if it has none.
        """
        await self._wait(lambda: self._session.settled or self._session.failure is not None, None)
        if self._session.failure is not None:
            raise Failure(StatusCode.UNAVAILABLE, self._session.failure.details)

    async def refresh(self) -> bool:
        """Note what has arrived while the loop was not running; whether calls can be begun."""
        assert self._transport is not None
        poll = select.poll()
        for _ in range(_ROUNDS):
            if self._session.draining or self._transport.is_closing():
                return False
            poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
            if not poll.poll(0):
                break
            await asyncio.sleep(0)
        return not self._session.draining

    def close(self, outcome: Outcome) -> None:
        """End the connection and its calls."""
        self._session.fail(outcome)
        self._flush()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._session.receive(bytes(self._buffer[:nbytes]))
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        why = "Socket closed" if error is None else f"the connection is broken: {error}"
        self._session.fail(Outcome(StatusCode.UNAVAILABLE, why))
        self._flush()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    # What calls need.

    async def begin(self, headers: Headers, data: bytes | None, limit: int, deadline: float | None) -> Exchange:
        session = self._session
        if not await self._wait(lambda: session.room or session.draining, deadline):
            raise Failure(LATE.code, LATE.details)
        if session.draining:
            raise Failure(StatusCode.UNAVAILABLE, "the connection has ended", unprocessed=True)
        exchange = session.begin(headers, limit)
        if data is not None:
            session.write(exchange, data, end=True)
        self._flush()
        self._keep_alive()
        return exchange

    async def send(self, exchange: Exchange, data: bytes, end: bool, deadline: float | None) -> None:
        self._session.write(exchange, data, end=end)
        self._flush()
        await self._wait_for(exchange, lambda: not exchange.unsent or exchange.ended, deadline)

    async def until(
        self, exchange: Exchange, happened: Callable[[Exchange], bool], deadline: float | None
    ) -> None:
        if not await self._wait_for(exchange, lambda: exchange.ended or happened(exchange), deadline):
            self.cancel(exchange, LATE)

    def take(self, exchange: Exchange) -> bytes:
        message = self._session.take(exchange)
        self._flush()
        return message

    def cancel(self, exchange: Exchange, outcome: Outcome) -> None:
        self._session.cancel(exchange, outcome)
        self._flush()

    def abandon(self, exchange: Exchange) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.cancel, exchange, CLOSED)

    # Waiting.

    async def _wait(self, ready: Callable[[], bool], deadline: float | None) -> bool:
        return await _wait(self._waiting, ready, deadline)

    async def _wait_for(self, exchange: Exchange, ready: Callable[[], bool], deadline: float | None) -> bool:
        if exchange.wake is None:
            exchange.wake = _Waiters()
        return await _wait(cast(_Waiters, exchange.wake), ready, deadline)

    def _flush(self) -> None:
        """Send what can be sent, and wake who waits for the connection."""
        session, transport = self._session, self._transport
        if transport is not None and not self._paused and session.outgoing:
            data = bytes(session.outgoing)
            session.sent(len(data))
            transport.write(data)
        if session.failure is not None and transport is not None:
            self._transport = None
            transport.abort()
            if self._timer is not None:
                self._timer.cancel()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # Pings.

    def _keep_alive(self) -> None:
        """See to it that the connection is watched while there are calls."""
        if self._options.keepalive is not None and self._timer is None:
            self._timer = self._loop.call_later(self._options.keepalive, self._check_alive)

    def _check_alive(self) -> None:
        options, session = self._options, self._session
        self._timer = None
        if (
            options.keepalive is None
            or session.failure is not None
            or (session.idle and not options.keepalive_always)
        ):
            return
        now = time.monotonic()
        if session.pinged is not None and now >= session.pinged + options.keepalive_timeout:
            session.fail(Outcome(StatusCode.UNAVAILABLE, "ping timeout"))
            self._flush()
            return
        if session.pinged is None and now >= session.heard + options.keepalive:
            session.ping()
            self._flush()
        due = (
            session.heard + options.keepalive
            if session.pinged is None
            else session.pinged + options.keepalive_timeout
        )
        self._timer = self._loop.call_later(max(due - now, 0), self._check_alive)


class _Waiters(set):
    """Who waits for an exchange."""

    def __call__(self) -> None:
        for waiter in self:
            if not waiter.done():
                waiter.set_result(None)


async def _wait(waiters: set[asyncio.Future[None]], ready: Callable[[], bool], deadline: float | None) -> bool:
    """Wait until something is so, which is looked at whenever the waiters are woken; False if it got too late."""
    while not ready():
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            return False
        waiter = asyncio.get_running_loop().create_future()
        waiters.add(waiter)
        try:
            if remaining is None:
                await waiter
            else:
                await asyncio.wait((waiter,), timeout=remaining)
        finally:
            waiters.discard(waiter)
    return True


class Link(_invocation.Link):
    """What calls of a channel share. For one event loop at a time."""

    def __init__(self, target: str, options: Options, credentials: ChannelCredentials | None) -> None:
        super().__init__(target, options, credentials)
        self.calls: weakref.WeakSet[Invocation] = weakref.WeakSet()
        self._watchers: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    def invocation(self, *arguments: Any) -> Invocation:
        """A new call."""
        invocation = Invocation(self, *arguments)
        self.calls.add(invocation)
        return invocation

    def close(self) -> None:
        """End all calls and the connection."""
        self.closed = True
        self._tell(ChannelConnectivity.SHUTDOWN)
        for call in list(self.calls):
            call.cancel(CLOSED)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(CLOSED)

    async def state_change(self, last: ChannelConnectivity) -> None:
        """Wait until the state is another one."""
        await _wait(self._watchers, lambda: self.state is not last, None)

    # What calls need.

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def ask(self, plugin: AuthMetadataPlugin, context: AuthMetadataContext, deadline: float | None) -> Any:
        if isinstance(plugin, Token):
            return plugin.metadata
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def settle(metadata: Any, error: Exception | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(metadata)

        def callback(metadata: Any, error: Exception | None) -> None:
            loop.call_soon_threadsafe(settle, metadata, error)

        try:
            async with asyncio.timeout_at(deadline):
                # A plugin may block.
                await loop.run_in_executor(None, lambda: plugin(context, cast(Any, callback)))
                return await answer
        except TimeoutError:
            raise Failure(LATE.code, LATE.details) from None

    async def connected(self, deadline: float | None) -> Connection:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # The connection of a loop is of no use to another one.
            self._loop, self._connection, self._connecting = loop, None, asyncio.Lock()
        try:
            async with asyncio.timeout_at(deadline):
                async with self._connecting:
                    if self.closed:
                        raise Failure(CLOSED.code, CLOSED.details)
                    connection = self._connection
                    if connection is None or not connection.usable or not await connection.refresh():
                        self._connection = connection = await self._connect(deadline)
                    return connection
        except TimeoutError:
            raise Failure(LATE.code, LATE.details) from None

    async def _connect(self, deadline: float | None) -> Connection:
        self._tell(ChannelConnectivity.CONNECTING)
        state = ChannelConnectivity.TRANSIENT_FAILURE
        connection = None
        target, options = self.target, self.options
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                context = self.tls.context if self.tls else None
                transport, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(options),
                    target.host,
                    target.port,
                    ssl=context,
                    server_hostname=(options.server_name or target.host) if context else None,
                )
                tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
                if tls is not None:
                    check_protocol(tls.selected_alpn_protocol())
                await connection.settle()
            state = ChannelConnectivity.READY
            return connection
        except (OSError, ValueError, Failure) as error:
            if connection is not None:
                connection.close(CLOSED)
            raise connect_failure(target, error, deadline) from error
        finally:
            if not self.closed:
                self._tell(state)

    def _tell(self, state: ChannelConnectivity) -> None:
        if state is not self.state:
            self.state = state
            for watcher in self._watchers:
                if not watcher.done():
                    watcher.set_result(None)
