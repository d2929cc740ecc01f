"""gRPC for asyncio: the interface of grpc.aio."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from .._codes import Compression
from .._credentials import ChannelCredentials
from ._channel import Channel as _Channel
from ._errors import AbortError, AioRpcError, BaseError, InternalError, UsageError
from ._interceptor import (
    ClientCallDetails,
    ClientInterceptor,
    InterceptedUnaryUnaryCall,
    StreamStreamClientInterceptor,
    StreamUnaryClientInterceptor,
    UnaryStreamClientInterceptor,
    UnaryUnaryClientInterceptor,
)
from ._interfaces import (
    EOF,
    Call,
    Channel,
    RpcContext,
    Server,
    ServerInterceptor,
    ServicerContext,
    StreamStreamCall,
    StreamStreamMultiCallable,
    StreamUnaryCall,
    StreamUnaryMultiCallable,
    UnaryStreamCall,
    UnaryStreamMultiCallable,
    UnaryUnaryCall,
    UnaryUnaryMultiCallable,
)
from ._metadata import Metadata


def insecure_channel(
    target: str,
    options: Iterable[tuple[str, Any]] | None = None,
    compression: Compression | None = None,
    interceptors: Sequence[ClientInterceptor] | None = None,
) -> Channel:
    """A channel without TLS."""
    return _Channel(target, options, None, compression, interceptors)


def secure_channel(
    target: str,
    credentials: ChannelCredentials,
    options: Iterable[tuple[str, Any]] | None = None,
    compression: Compression | None = None,
    interceptors: Sequence[ClientInterceptor] | None = None,
) -> Channel:
    """A channel with credentials."""
    if credentials is None:
        raise ValueError("a secure channel has credentials")
    return _Channel(target, options, credentials, compression, interceptors)


def server(*arguments: object, **named: object) -> NoReturn:
    """There is no server here."""
    raise NotImplementedError("grpc.aio.server: nothing can connect to a function, so it can't serve gRPC")


def init_grpc_aio() -> None:
    """Do what need not be done here."""


def shutdown_grpc_aio() -> None:
    """Do what need not be done here."""


__all__ = (
    "EOF", "AbortError", "AioRpcError", "BaseError", "Call", "Channel", "ClientCallDetails", "ClientInterceptor",
    "InterceptedUnaryUnaryCall", "InternalError", "Metadata", "RpcContext", "Server", "ServerInterceptor",
    "ServicerContext", "StreamStreamCall", "StreamStreamClientInterceptor", "StreamStreamMultiCallable",
    "StreamUnaryCall", "StreamUnaryClientInterceptor", "StreamUnaryMultiCallable", "UnaryStreamCall",
    "UnaryStreamClientInterceptor", "UnaryStreamMultiCallable", "UnaryUnaryCall", "UnaryUnaryClientInterceptor",
    "UnaryUnaryMultiCallable", "UsageError", "init_grpc_aio", "insecure_channel", "secure_channel", "server",
    "shutdown_grpc_aio",
)  # fmt: skip
