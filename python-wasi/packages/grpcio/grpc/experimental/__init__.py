"""What gRPC's library calls experimental, as far as generated code asks for it."""

from __future__ import annotations

from .. import aio
from .._simple import insecure_channel_credentials, stream_stream, stream_unary, unary_stream, unary_unary


class ChannelOptions:
    """Options of channels; they are accepted and make no difference."""

    SingleThreadedUnaryStream = "SingleThreadedUnaryStream"


class UsageError(Exception):
    """The library is used in a wrong way."""


class ExperimentalApiWarning(Warning):
    """What may change is used."""


__all__ = (
    "ChannelOptions",
    "ExperimentalApiWarning",
    "UsageError",
    "aio",
    "insecure_channel_credentials",
    "stream_stream",
    "stream_unary",
    "unary_stream",
    "unary_unary",
)
