"""Calls without a channel at hand: one is kept for each target."""

from __future__ import annotations

import threading
from typing import Any

from ._channel import Channel
from ._credentials import ChannelCredentials, ssl_channel_credentials

_MOST_CHANNELS = 64

_DEFAULT = ssl_channel_credentials()

_lock = threading.Lock()  # guards the channels
_channels: dict[Any, Channel] = {}


def insecure_channel_credentials() -> ChannelCredentials | None:
    """What says that a channel has no credentials."""
    return None


def _channel(target: str, options: Any, credentials: Any, insecure: bool, compression: Any) -> Channel:
    if credentials is None and not insecure:
        credentials = _DEFAULT
    key = (target, tuple(options or ()), credentials, compression)
    with _lock:
        channel = _channels.pop(key, None) or Channel(target, options, credentials, compression)
        _channels[key] = channel
        if len(_channels) > _MOST_CHANNELS:
            _channels.pop(next(iter(_channels))).close()
    return channel


def _simple(kind: str) -> Any:
    def call(
        request, target, method, request_serializer=None, response_deserializer=None, options=(),
        channel_credentials=None, insecure=False, call_credentials=None, compression=None,
        wait_for_ready=None, timeout=60.0, metadata=None, _registered_method=False,
    ) -> Any:  # fmt: skip
        channel = _channel(target, options, channel_credentials, insecure, compression)
        callable_ = getattr(channel, kind)(method, request_serializer, response_deserializer)
        return callable_(
            request,
            timeout=timeout,
            metadata=metadata,
            credentials=call_credentials,
            wait_for_ready=wait_for_ready,
        )

    call.__name__ = call.__qualname__ = kind
    return call


unary_unary = _simple("unary_unary")
unary_stream = _simple("unary_stream")
stream_unary = _simple("stream_unary")
stream_stream = _simple("stream_stream")
