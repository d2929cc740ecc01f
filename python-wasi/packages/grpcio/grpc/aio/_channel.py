"""asyncio's channels and their methods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from .._codes import ChannelConnectivity, Compression
from .._credentials import ChannelCredentials
from .._failure import Failure
from .._options import Options
from . import _interfaces as interfaces
from ._call import Deserializer, Serializer, StreamStreamCall, StreamUnaryCall, UnaryStreamCall, UnaryUnaryCall
from ._errors import UsageError
from ._interceptor import INTERCEPTED, KINDS, ClientCallDetails
from ._link import Link
from ._metadata import Metadata

_CALLS: dict[str, Any] = {
    "unary_unary": UnaryUnaryCall,
    "unary_stream": UnaryStreamCall,
    "stream_unary": StreamUnaryCall,
    "stream_stream": StreamStreamCall,
}


class _Method:
    """A method of a channel: what its calls have in common."""

    _kind: str

    def __init__(
        self,
        link: Link,
        path: str | bytes,
        serializer: Serializer,
        deserializer: Deserializer,
        interceptors: Sequence[Any],
        compression: Compression | None,
    ) -> None:
        self._link = link
        self._path = path.encode() if isinstance(path, str) else path
        self._serializer = serializer
        self._deserializer = deserializer
        self._interceptors = interceptors
        self._compression = compression

    def _call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        if self._link.closed:
            raise UsageError("Channel is closed.")
        details = ClientCallDetails(
            self._path, timeout, Metadata.from_tuple(metadata), credentials, wait_for_ready,
            self._compression if compression is None else compression,
        )  # fmt: skip
        if self._interceptors:
            return INTERCEPTED[self._kind](self._kind, self._interceptors, self._make, details, request)
        return self._make(details, request)

    def _make(self, details: Any, request: Any) -> Any:
        """A call, without interceptors."""
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        invocation = self._link.invocation(
            method, details.timeout, details.metadata, details.credentials, details.wait_for_ready,
            getattr(details, "compression", self._compression),
        )  # fmt: skip
        named = {"request" if self._kind.startswith("unary") else "requests": request}
        return _CALLS[self._kind](invocation, self._link.authority, self._serializer, self._deserializer, **named)


class UnaryUnaryMultiCallable(_Method, interfaces.UnaryUnaryMultiCallable):
    """A method of one request and one answer."""

    _kind = "unary_unary"

    def __call__(
        self, request, *, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self._call(request, timeout, metadata, credentials, wait_for_ready, compression)


class UnaryStreamMultiCallable(_Method, interfaces.UnaryStreamMultiCallable):
    """A method of one request and a stream of answers."""

    _kind = "unary_stream"

    def __call__(
        self, request, *, timeout=None, metadata=None, credentials=None, wait_for_ready=None, compression=None
    ):
        return self._call(request, timeout, metadata, credentials, wait_for_ready, compression)


class StreamUnaryMultiCallable(_Method, interfaces.StreamUnaryMultiCallable):
    """A method of a stream of requests and one answer."""

    _kind = "stream_unary"

    def __call__(
        self,
        request_iterator=None,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        return self._call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)


class StreamStreamMultiCallable(_Method, interfaces.StreamStreamMultiCallable):
    """A method of a stream of requests and a stream of answers."""

    _kind = "stream_stream"

    def __call__(
        self,
        request_iterator=None,
        timeout=None,
        metadata=None,
        credentials=None,
        wait_for_ready=None,
        compression=None,
    ):
        return self._call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)


class Channel(interfaces.Channel):
    """A channel of asyncio. It connects when it is first used."""

    def __init__(
        self,
        target: str,
        options: Iterable[tuple[str, Any]] | None,
        credentials: ChannelCredentials | None,
        compression: Compression | None,
        interceptors: Sequence[Any] | None,
    ) -> None:
        self._link = Link(target, Options(options), credentials)
        self._compression = compression
        self._connecting: asyncio.Task[None] | None = None
        # Google's libraries append to these lists.
        for kind, parent in KINDS.items():
            setattr(self, f"_{kind}_interceptors", [each for each in interceptors or () if isinstance(each, parent)])
        for each in interceptors or ():
            if not isinstance(each, tuple(KINDS.values())):
                raise ValueError(f"{each!r} is no interceptor of a client")

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        if self._link.closed:
            return
        calls = [call for call in self._link.calls if call.outcome is None]
        if grace and calls:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await asyncio.gather(*(call.finish() for call in calls))
        self._link.close()

    def get_state(self, try_to_connect: bool = False) -> ChannelConnectivity:
        if try_to_connect and self._link.state is not ChannelConnectivity.READY and self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return self._link.state

    async def wait_for_state_change(self, last_observed_state: ChannelConnectivity) -> None:
        await self._link.state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._link.connection(None, wait_for_ready=True)

    async def _connect(self) -> None:
        try:
            with contextlib.suppress(Failure):
                await self._link.connection(None, wait_for_ready=True)
        finally:
            self._connecting = None

    def unary_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method(UnaryUnaryMultiCallable, method, request_serializer, response_deserializer)

    def unary_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method(UnaryStreamMultiCallable, method, request_serializer, response_deserializer)

    def stream_unary(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method(StreamUnaryMultiCallable, method, request_serializer, response_deserializer)

    def stream_stream(self, method, request_serializer=None, response_deserializer=None, _registered_method=False):
        return self._method(StreamStreamMultiCallable, method, request_serializer, response_deserializer)

    def _method(self, kind: Any, path: str | bytes, serializer: Serializer, deserializer: Deserializer) -> Any:
        interceptors = getattr(self, f"_{kind._kind}_interceptors")
        return kind(self._link, path, serializer, deserializer, interceptors, self._compression)
