"""Connections of blocking channels.

There is no thread for reading. Of those that wait for something on a connection,
one reads for all; when it has got what it waits for, another one goes on. So an
instance with one call at a time has one thread, whose state can be frozen, and a
call costs no switches.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable

from ._codes import StatusCode
from ._credentials import TLS
from ._failure import Failure, Outcome
from ._http2 import Exchange, Session
from ._invocation import CANCELLED, LATE
from ._metadata import Headers
from ._options import Options, Target

# How long making a connection may take, in seconds.
CONNECT_TIMEOUT = 20.0

_READ = select.POLLIN
_READ_OR_WRITE = select.POLLIN | select.POLLOUT

# How much is read at a time: what is done with it is not interrupted.
CHUNK = 1 << 15

# How many rounds of reading a connection gets that has been idle.
_ROUNDS = 8


class _Stream:
    """A socket's bytes, within TLS or not. Never blocks."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None, name: str) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.outgoing = bytearray()
        self.tls: ssl.SSLObject | None = None
        if tls is not None:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = tls.wrap_bio(self._in, self._out, server_hostname=name)

    def shake_hands(self) -> bool:
        """Go on with TLS's handshake; whether it is finished."""
        assert self.tls is not None
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.outgoing += self._out.read()
        return True

    def fill(self) -> bytes | None:
        """What has arrived; b"" if that is nothing yet, None at the end.

        # Errors

        OSError if the connection is broken.
        """
        try:
            data = self.socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return b""
        return data or None

    def opened(self, data: bytes) -> bytes | None:
        """The content of bytes that have arrived; None if TLS has ended.

        # Errors

        OSError if they are not TLS.
        """
        if self.tls is None:
            return data
        self._in.write(data)
        parts = []
        try:
            while part := self.tls.read(CHUNK):
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            if not parts:
                return None
        self.outgoing += self._out.read()
        return b"".join(parts)

    def put(self, session: Session) -> None:
        """Send what a session has to send, as far as the socket takes it.

        # Errors

        OSError if the connection is broken.
        """
        data = session.outgoing
        while data:
            if self.tls is None:
                try:
                    session.sent(self.socket.send(data))
                except (BlockingIOError, InterruptedError):
                    return
            else:
                self.flush()
                if self.outgoing:
                    return
                count = self.tls.write(data)
                self.outgoing += self._out.read()
                session.sent(count)
        self.flush()

    def flush(self) -> None:
        """Send what TLS has to send, as far as the socket takes it."""
        while self.outgoing:
            try:
                del self.outgoing[: self.socket.send(self.outgoing)]
            except (BlockingIOError, InterruptedError):
                return


class Connection:
    """A connection of a blocking channel. For all threads."""

    def __init__(self, stream: _Stream, options: Options) -> None:
        self._stream = stream
        self._options = options
        self._changed = threading.Condition()  # guards all below
        self._session = Session(options.max_metadata)
        self._reader: int | None = None
        self._abandoned: deque[Exchange] = deque()
        self._bell: tuple[socket.socket, socket.socket] | None = None

    @property
    def usable(self) -> bool:
        """Whether calls can be begun, as far as is known."""
        return not self._session.draining

    def settle(self, deadline: float) -> None:
        """Wait for the server's settings.

        # Errors

        Failure if it has none.
        """
        with self._changed:
            self._flush()
            settled = self._wait(lambda: self._session.settled or self._session.failure is not None, deadline)
        if self._session.failure is not None:
            raise Failure(StatusCode.UNAVAILABLE, self._session.failure.details)
        if not settled:
            raise Failure(StatusCode.UNAVAILABLE, "the server has not begun HTTP/2 in time")

    def refresh(self) -> bool:
        """Note what has arrived while nobody was reading; whether calls can be begun.

        A server may have closed the connection while the instance was idle.
        """
        with self._changed:
            for _ in range(_ROUNDS):
                if self._session.draining or not _ready(self._stream.socket, _READ, 0):
                    break
                if self._reader is None:
                    self._round(0)
                else:
                    # The one who reads takes it.
                    self._changed.wait(1)
            return not self._session.draining

    # What calls need.

    async def begin(self, headers: Headers, data: bytes | None, limit: int, deadline: float | None) -> Exchange:
        with self._changed:
            session = self._session
            if not self._wait(lambda: session.room or session.draining, deadline):
                raise Failure(LATE.code, LATE.details)
            if session.draining:
                raise Failure(StatusCode.UNAVAILABLE, "the connection has ended", unprocessed=True)
            exchange = session.begin(headers, limit)
            if data is not None:
                session.write(exchange, data, end=True)
            self._flush()
            return exchange

    async def send(self, exchange: Exchange, data: bytes, end: bool, deadline: float | None) -> None:
        with self._changed:
            self._session.write(exchange, data, end=end)
            self._flush()
            self._wait(lambda: not exchange.unsent or exchange.ended, deadline)

    async def until(
        self, exchange: Exchange, happened: Callable[[Exchange], bool], deadline: float | None
    ) -> None:
        with self._changed:
            if not self._wait(lambda: exchange.ended or happened(exchange), deadline):
                self._session.cancel(exchange, LATE)
                self._flush()

    def take(self, exchange: Exchange) -> bytes:
        with self._changed:
            message = self._session.take(exchange)
            self._flush()
            return message

    def cancel(self, exchange: Exchange, outcome: Outcome) -> None:
        with self._changed:
            self._session.cancel(exchange, outcome)
            self._flush()
            self._ring()

    def abandon(self, exchange: Exchange) -> None:
        """Cancel it soon. Of use where no lock may be taken: when objects are collected."""
        self._abandoned.append(exchange)

    def close(self, outcome: Outcome) -> None:
        """End the connection and its calls."""
        with self._changed:
            self._session.fail(outcome)
            self._flush()
            self._shut()

    # Waiting. All below is called with the lock held.

    def _wait(self, ready: Callable[[], bool], deadline: float | None) -> bool:
        """Wait, and read for everybody if nobody else does; False if it got too late."""
        while not ready():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if self._session.failure is not None:
                return ready()
            limit = None if deadline is None else deadline - time.monotonic()
            if self._reader is None:
                self._round(limit)
            else:
                self._changed.wait(limit)
        return True

    def _round(self, limit: float | None) -> None:
        """Read once, within seconds, without the lock."""
        limit = self._keep_alive(limit)
        self._reader = threading.get_ident()
        stream = self._stream
        events = _READ_OR_WRITE if stream.outgoing or self._session.outgoing else _READ
        bell = self._listen()
        self._changed.release()
        data: bytes | None = b""
        error: OSError | None = None
        try:
            if _ready(stream.socket, events, limit, bell):
                data = stream.fill()
        except OSError as problem:
            error = problem
        finally:
            self._changed.acquire()
            self._reader = None
            self._changed.notify_all()
        if self._session.failure is not None:
            self._shut()
            return
        try:
            if error is not None:
                raise error
            content = None if data is None else stream.opened(data) if data else b""
        except OSError as problem:
            self._lose(f"the connection is broken: {problem}")
            return
        if content is None:
            self._lose("Socket closed")
        elif content:
            self._session.receive(content)
        elif not data:
            self._check_alive()
        self._flush()

    def _lose(self, details: str) -> None:
        self._session.fail(Outcome(StatusCode.UNAVAILABLE, details))
        self._shut()

    def _flush(self) -> None:
        """Send what can be sent, and let the reader wait for the rest."""
        while self._abandoned:
            self._session.cancel(self._abandoned.popleft(), CANCELLED)
        if self._session.failure is None:
            try:
                self._stream.put(self._session)
            except OSError as error:
                self._lose(f"the connection is broken: {error}")
        if self._session.failure is not None:
            self._shut()
        elif self._session.outgoing or self._stream.outgoing:
            self._ring()
        self._changed.notify_all()

    def _shut(self) -> None:
        if self._reader is None:
            self._stream.socket.close()
        else:  # which closes it
            self._ring()

    # Pings.

    def _keep_alive(self, limit: float | None) -> float | None:
        """How long to wait for bytes, until something is to be done about keeping the connection alive."""
        options, session = self._options, self._session
        if options.keepalive is None or (session.idle and not options.keepalive_always):
            return limit
        due = (
            session.heard + options.keepalive
            if session.pinged is None
            else session.pinged + options.keepalive_timeout
        )
        pause = max(due - time.monotonic(), 0)
        return pause if limit is None else min(limit, pause)

    def _check_alive(self) -> None:
        """Nothing has arrived: is it time for a ping, or for giving up?"""
        options, session = self._options, self._session
        if options.keepalive is None or session.idle and not options.keepalive_always:
            return
        now = time.monotonic()
        if session.pinged is None:
            if now >= session.heard + options.keepalive:
                session.ping()
        elif now >= session.pinged + options.keepalive_timeout:
            self._lose("ping timeout")

    # The bell, by which a thread wakes the reader.

    def _listen(self) -> socket.socket | None:
        """The reader's end of the bell; there is none while there is one thread."""
        if self._bell is None and threading.active_count() > 1:
            self._bell = socket.socketpair()
            for end in self._bell:
                end.setblocking(False)
        return self._bell and self._bell[0]

    def _ring(self) -> None:
        if self._bell and self._reader not in (None, threading.get_ident()):
            with contextlib.suppress(BlockingIOError):
                self._bell[1].send(b"!")


def _ready(sock: socket.socket, events: int, limit: float | None, bell: socket.socket | None = None) -> bool:
    """Wait for a socket, seconds or until the bell rings; whether it is ready."""
    poll = select.poll()
    poll.register(sock, events)
    if bell is not None:
        poll.register(bell, _READ)
    happened = poll.poll(None if limit is None else max(limit, 0) * 1000)
    if bell is not None and any(fd == bell.fileno() for fd, _ in happened):
        with contextlib.suppress(BlockingIOError):
            bell.recv(CHUNK)
    return any(fd == sock.fileno() for fd, _ in happened)


def connect(target: Target, tls: TLS | None, options: Options, deadline: float | None) -> Connection:
    """A connection that is ready for calls.

    # Errors

    Failure.
    """
    limit = time.monotonic() + CONNECT_TIMEOUT
    limit = limit if deadline is None else min(limit, deadline)
    sock = None
    try:
        context = tls.context if tls else None
        sock = socket.create_connection((target.host, target.port), max(limit - time.monotonic(), 1e-3))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = _Stream(sock, context, options.server_name or target.host)
        if stream.tls is not None:
            _shake_hands(stream, limit)
        connection = Connection(stream, options)
        connection.settle(limit)
        return connection
    except (OSError, ValueError, Failure) as error:
        if sock is not None:
            sock.close()
        raise connect_failure(target, error, deadline) from error


def connect_failure(target: Target, error: Exception, deadline: float | None) -> Failure:
    """Why there is no connection."""
    if deadline is not None and time.monotonic() >= deadline:
        return Failure(LATE.code, LATE.details)
    why = "timed out" if isinstance(error, TimeoutError) else str(error)
    return Failure(
        StatusCode.UNAVAILABLE,
        f"failed to connect to {target.host}:{target.port}; last error: {why}",
        # What the network's rules refuse they will refuse later too.
        final=isinstance(error, PermissionError),
    )


def _shake_hands(stream: _Stream, deadline: float) -> None:
    while not stream.shake_hands():
        stream.flush()
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not _ready(stream.socket, _READ_OR_WRITE if stream.outgoing else _READ, remaining):
            raise TimeoutError
        data = stream.fill()
        if data is None:
            raise ConnectionResetError("the server has closed the connection during TLS's handshake")
        stream._in.write(data)
    stream.flush()
    assert stream.tls is not None
    check_protocol(stream.tls.selected_alpn_protocol())


def check_protocol(chosen: str | None) -> None:
    """Is it HTTP/2 that the server has chosen?"""
    if chosen != "h2":
        raise ConnectionError("the server does not offer HTTP/2 (h2) by ALPN")
