"""HTTP/2 without I/O: a session of calls over one connection.

Whoever owns a connection gives its bytes to Session.receive, and sends those of
Session.outgoing. An Exchange is one stream of it: an attempt at a call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import deque
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error, NoAvailableStreamIDError, NoSuchStreamError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import WindowUpdateFrame

from ._codes import STATUS_CODES, StatusCode
from ._failure import Failure, Outcome
from ._framing import Unframer
from ._metadata import Headers, decode, message_of

# How many bytes of answers a server may send ahead of what a call has taken.
STREAM_WINDOW = 1 << 20

# The same of a connection, whose bytes are taken at once: they are bounded by
# the windows of its calls.
CONNECTION_WINDOW = 4 << 20

# The longest frame that a server may send: HTTP/2's default.
_MAX_FRAME = 1 << 14

# How many bytes of answers to control frames a server may ask for without taking
# them.
_MAX_OWED = 1 << 20

# How many frames a server may send in a row that get no call any further.
_MOST_IDLE_FRAMES = 1000

# How much is kept of a server's reason to go away.
_MAX_REASON = 1 << 10

# Of HTTP/2's frames.
_FRAME_HEADER = 9
_DATA, _HEADERS, _PUSH_PROMISE, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (0x0, 0x1, 0x5, 0x7, 0x8, 0x9)
_END_STREAM, _END_HEADERS = 0x1, 0x4
_LARGEST = 2**31 - 1

# What the resetting of a stream means.
_RESETS = {
    ErrorCodes.REFUSED_STREAM: StatusCode.UNAVAILABLE,
    ErrorCodes.CANCEL: StatusCode.CANCELLED,
    ErrorCodes.ENHANCE_YOUR_CALM: StatusCode.RESOURCE_EXHAUSTED,
    ErrorCodes.INADEQUATE_SECURITY: StatusCode.PERMISSION_DENIED,
}

# What an answer of HTTP without a status of gRPC means.
_HTTP = {
    b"400": StatusCode.INTERNAL,
    b"401": StatusCode.UNAUTHENTICATED,
    b"403": StatusCode.PERMISSION_DENIED,
    b"404": StatusCode.UNIMPLEMENTED,
    b"429": StatusCode.UNAVAILABLE,
    b"502": StatusCode.UNAVAILABLE,
    b"503": StatusCode.UNAVAILABLE,
    b"504": StatusCode.UNAVAILABLE,
}


class Exchange:
    """One attempt at a call: a stream of the session.

    Its owner reads the attributes and takes messages; the session changes them
    as bytes arrive.
    """

    def __init__(self, stream: int, offset: int, limit: int) -> None:
        self.stream = stream
        self.offset = offset  # the bytes that the session had before it
        self.headers: Headers | None = None
        self.messages: deque[bytes] = deque()
        self.outcome: Outcome | None = None
        self.trailers: Headers = []
        self.unsent = bytearray()
        self.closing = False  # after what is unsent no more comes
        self.closed = False  # and the server has been told
        self.unframer = Unframer(limit)
        self.credit = 0  # bytes that the server may not yet send again
        self.wake: Callable[[], None] | None = None  # is called after each change

    @property
    def ended(self) -> bool:
        return self.outcome is not None

    def changed(self) -> None:
        if self.wake is not None:
            self.wake()


class Session:
    """A client's side of one connection.

    Not for several threads at once. Nothing here blocks.
    """

    def __init__(self, max_metadata: int) -> None:
        # What is sent is made here and valid.
        config = H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._h2 = H2Connection(config)
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: max_metadata,
            },
        )
        self._h2.decoder.max_header_list_size = max_metadata
        self._exchanges: dict[int, Exchange] = {}
        self._input = bytearray()
        self._in_headers = False
        self._credit = 0
        self._sent = 0
        self._owed = 0
        self._skipped = 0
        self._idle_frames = 0
        self.outgoing = bytearray()
        self.settled = False
        """The server's first settings have arrived."""
        self.draining = False
        """No further call may be begun."""
        self.failure: Outcome | None = None
        """Why the connection is of no use any more."""
        self.heard = time.monotonic()
        """When the server was last heard of."""
        self.pinged: float | None = None
        """When a ping was sent that has not been answered."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65535)
        self._collect()

    @property
    def idle(self) -> bool:
        """Whether there is no call."""
        return not self._exchanges

    @property
    def room(self) -> bool:
        """Whether the server takes another call now."""
        limit = self._h2.remote_settings.max_concurrent_streams
        return len(self._exchanges) < limit and not self.draining

    def begin(self, headers: Headers, limit: int) -> Exchange:
        """Send a call's headers. There must be room. Messages may have limit bytes.

        # Errors

        Failure if the connection is worn out.
        """
        try:
            stream = self._h2.get_next_available_stream_id()
            exchange = Exchange(stream, self._sent + len(self.outgoing), limit)
            self._h2.send_headers(stream, headers)
        except (NoAvailableStreamIDError, H2Error) as error:
            self.draining = True
            raise Failure(StatusCode.UNAVAILABLE, f"the connection takes no more calls: {error}") from error
        self._exchanges[stream] = exchange
        self._collect()
        return exchange

    def write(self, exchange: Exchange, data: bytes, *, end: bool = False) -> None:
        """Send a message, as the server's windows allow; end says that it is the last."""
        if exchange.ended:
            return
        exchange.unsent += data
        exchange.closing = exchange.closing or end
        self._send(exchange)
        self._collect()

    def take(self, exchange: Exchange) -> bytes:
        """The exchange's next message, which must be there."""
        message = exchange.messages.popleft()
        self._acknowledge(exchange)
        self._collect()
        return message

    def cancel(self, exchange: Exchange, outcome: Outcome) -> None:
        """End a call from here."""
        if exchange.ended:
            return
        self._reset(exchange.stream, ErrorCodes.CANCEL)
        self._finish(exchange, outcome)
        self._collect()

    def ping(self) -> None:
        """Ask the server whether it is there."""
        if self.failure is None:
            self._h2.ping(b"vivarium")
            self.pinged = time.monotonic()
            self._collect()

    def sent(self, count: int) -> None:
        """Drop bytes of outgoing that have been handed over."""
        del self.outgoing[:count]
        self._sent += count
        if not self.outgoing:
            self._owed = 0

    def receive(self, data: bytes) -> None:
        """Take bytes of the server."""
        self.heard = time.monotonic()
        self.pinged = None
        if self.failure is not None:
            return
        self._input += data
        try:
            self._receive_frames()
        except Failure as failure:
            self.fail(failure.outcome)
        except Exception as error:  # whatever the bytes of a hostile server may raise
            self.fail(_unavailable(f"the server breaks HTTP/2: {type(error).__name__}: {error}"))
        self._owed += self._collect()
        if self._owed > _MAX_OWED:
            self.fail(_unavailable("the server does not take the answers that it asks for"))
        for exchange in list(self._exchanges.values()):
            if exchange.unsent:
                self._send(exchange)
                exchange.changed()
        self._collect()

    def fail(self, outcome: Outcome) -> None:
        """End the connection and all calls."""
        if self.failure is not None:
            return
        self.failure = outcome
        self.draining = True
        for exchange in list(self._exchanges.values()):
            # Of a call that has not left the process nothing can have been done.
            lost = self._sent <= exchange.offset
            self._finish(exchange, dataclasses.replace(outcome, unprocessed=lost))

    def _receive_frames(self) -> None:
        """Give h2 the frames.

        It does not get GOAWAY, after which it would take no other, and data of calls that
        have ended, for each of which it would send another RST_STREAM.
        """
        whole = 0
        while len(self._input) >= whole + _FRAME_HEADER:
            length = int.from_bytes(self._input[whole : whole + 3])
            if length > _MAX_FRAME:
                raise Failure(
                    StatusCode.UNAVAILABLE, f"the server sent a frame of {length} bytes; {_MAX_FRAME} are allowed"
                )
            end = whole + _FRAME_HEADER + length
            if len(self._input) < end:
                break
            kind, flags = self._input[whole + 3], self._input[whole + 4]
            stream = int.from_bytes(self._input[whole + 5 : whole + 9]) & _LARGEST
            if self._in_headers:
                pass  # h2 checks that nothing interrupts them
            elif kind == _GOAWAY:
                self._receive_events(whole)
                self._go_away(bytes(self._input[_FRAME_HEADER : end - whole]))
                del self._input[: end - whole]
                whole = 0
                continue
            elif kind == _DATA and stream and stream not in self._exchanges:
                self._receive_events(whole)
                self._skip(length)
                del self._input[: end - whole]
                whole = 0
                continue
            if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
                self._in_headers = not flags & _END_HEADERS
            self._count(kind, flags, length)
            whole = end
        self._receive_events(whole)

    def _skip(self, length: int) -> None:
        """Have the server replace what it has sent for a call that has ended."""
        self._skipped += length
        if self._skipped >= CONNECTION_WINDOW // 2:
            self.outgoing += WindowUpdateFrame(0, self._skipped).serialize()
            self._skipped = 0

    def _count(self, kind: int, flags: int, length: int) -> None:
        """Notice a server that only makes work."""
        if kind == _HEADERS or (kind == _DATA and (length or flags & _END_STREAM)):
            self._idle_frames = 0
        elif kind != _WINDOW_UPDATE:
            self._idle_frames += 1
        if self._idle_frames > _MOST_IDLE_FRAMES:
            raise Failure(StatusCode.UNAVAILABLE, "the server sends frames that are of no use")

    def _receive_events(self, count: int) -> None:
        if not count:
            return
        data = bytes(self._input[:count])
        del self._input[:count]
        for event in self._h2.receive_data(data):
            self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, RemoteSettingsChanged):
            self.settled = True
            return
        exchange = self._exchanges.get(getattr(event, "stream_id", None) or 0)
        if exchange is None:
            if isinstance(event, DataReceived):
                self._acknowledge_connection(event.flow_controlled_length)
            return
        if isinstance(event, DataReceived):
            self._receive_data(exchange, event)
        elif isinstance(event, ResponseReceived):
            headers = event.headers or []
            if event.stream_ended is None:
                exchange.headers = headers
                exchange.unframer.encoding = dict(headers).get(b"grpc-encoding", b"identity")
            problem = _problem(headers)
            if problem is not None and event.stream_ended is None:
                self.cancel(exchange, problem)
            exchange.trailers = headers
        elif isinstance(event, TrailersReceived):
            exchange.trailers = event.headers or []
        elif isinstance(event, StreamEnded):
            self._end(exchange)
        elif isinstance(event, StreamReset):
            self._finish(exchange, _reset_outcome(event))
        exchange.changed()

    def _receive_data(self, exchange: Exchange, event: DataReceived) -> None:
        length = event.flow_controlled_length or 0
        self._acknowledge_connection(length)
        exchange.credit += length
        try:
            exchange.messages.extend(exchange.unframer.feed(event.data or b""))
        except Failure as failure:
            self.cancel(exchange, failure.outcome)
            return
        self._acknowledge(exchange)

    def _acknowledge(self, exchange: Exchange) -> None:
        """Let the server send on once the call has taken what there is."""
        if exchange.credit >= STREAM_WINDOW // 2 and not exchange.messages and not exchange.ended:
            # h2 may have seen the stream's end already, behind these bytes.
            with contextlib.suppress(NoSuchStreamError):
                self._h2.increment_flow_control_window(exchange.credit, exchange.stream)
            exchange.credit = 0

    def _acknowledge_connection(self, length: int | None) -> None:
        self._credit += length or 0
        if self._credit >= CONNECTION_WINDOW // 2:
            self._h2.increment_flow_control_window(self._credit)
            self._credit = 0

    def _end(self, exchange: Exchange) -> None:
        """The server's last frame of a call has arrived."""
        outcome = _outcome(exchange)
        if not exchange.closed:
            # A server may end a call without having read the request.
            self._reset(exchange.stream, ErrorCodes.NO_ERROR)
        self._finish(exchange, outcome)

    def _finish(self, exchange: Exchange, outcome: Outcome) -> None:
        if exchange.outcome is None:
            exchange.outcome = outcome
            exchange.unsent.clear()
            exchange.changed()
        self._exchanges.pop(exchange.stream, None)

    def _reset(self, stream: int, code: ErrorCodes) -> None:
        with contextlib.suppress(H2Error):  # which is closed already, or the connection is
            self._h2.reset_stream(stream, code)

    def _go_away(self, body: bytes) -> None:
        self.draining = True
        last = int.from_bytes(body[:4]) & _LARGEST
        code = int.from_bytes(body[4:8])
        reason = body[8 : 8 + _MAX_REASON].decode("utf-8", "replace")
        why = f"the server ends the connection (GOAWAY, code {code}{': ' + reason if reason else ''})"
        for exchange in list(self._exchanges.values()):
            if exchange.stream > last:
                self._finish(exchange, Outcome(StatusCode.UNAVAILABLE, why, unprocessed=True))

    def _send(self, exchange: Exchange) -> None:
        """Send what the windows allow of an exchange's messages."""
        with contextlib.suppress(NoSuchStreamError):  # as above
            while exchange.unsent:
                window = self._h2.local_flow_control_window(exchange.stream)
                count = min(len(exchange.unsent), window, self._h2.max_outbound_frame_size)
                if count <= 0:
                    return
                exchange.closed = exchange.closing and count == len(exchange.unsent)
                self._h2.send_data(exchange.stream, bytes(exchange.unsent[:count]), end_stream=exchange.closed)
                del exchange.unsent[:count]
            if exchange.closing and not exchange.closed:
                exchange.closed = True
                self._h2.end_stream(exchange.stream)

    def _collect(self) -> int:
        """Move h2's bytes to outgoing; how many there were."""
        data = self._h2.data_to_send()
        self.outgoing += data
        return len(data)


def _unavailable(details: str) -> Outcome:
    return Outcome(StatusCode.UNAVAILABLE, details)


def _problem(headers: Headers) -> Outcome | None:
    """What is wrong with an answer that begins with these headers."""
    fields = dict(headers)
    status = fields.get(b":status", b"")
    if status != b"200":
        code = _HTTP.get(status, StatusCode.UNKNOWN)
        return Outcome(code, f"Received http2 header with status: {status.decode('latin-1')}")
    kind = fields.get(b"content-type", b"")
    if not kind.startswith(b"application/grpc"):
        return Outcome(
            StatusCode.UNKNOWN,
            f"the server's answer is {kind.decode('latin-1') or 'nothing'}, not application/grpc",
        )
    return None


def _outcome(exchange: Exchange) -> Outcome:
    """The outcome of a call whose last headers have arrived."""
    fields = dict(exchange.trailers)
    status = fields.get(b"grpc-status")
    trailers = decode(exchange.trailers) if exchange.trailers is not exchange.headers else ()
    if status is None:
        problem = _problem(exchange.trailers) if exchange.headers is None else None
        if problem is not None:
            return problem
        return Outcome(StatusCode.UNKNOWN, "the server ended the call without a status", trailers)
    code = STATUS_CODES.get(status, StatusCode.UNKNOWN)
    details = message_of(fields.get(b"grpc-message", b""))
    if code is StatusCode.OK and exchange.unframer.partial:
        return Outcome(StatusCode.INTERNAL, "the server ended the call within a message", trailers)
    return Outcome(code, details, trailers)


def _reset_outcome(event: StreamReset) -> Outcome:
    code = event.error_code
    name = getattr(code, "name", code)
    return Outcome(
        _RESETS.get(code, StatusCode.INTERNAL),  # type: ignore[call-overload]
        f"Received RST_STREAM with error code {int(code or 0)} ({name})",
        unprocessed=code == ErrorCodes.REFUSED_STREAM,
    )
