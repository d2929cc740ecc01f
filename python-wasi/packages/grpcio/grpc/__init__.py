"""gRPC for Python, for clients, without compiled code.

The public interface is that of grpcio; HTTP/2 is h2's, TLS that of the ssl module.
See README.md beside this package's sources for what there is, and what there is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from . import aio
from ._channel import Channel as _BlockingChannel
from ._codes import ChannelConnectivity, Compression, LocalConnectionType, StatusCode
from ._credentials import (
    CallCredentials,
    ChannelCredentials,
    ServerCertificateConfiguration,
    ServerCredentials,
    access_token_call_credentials,
    alts_channel_credentials,
    composite_call_credentials,
    composite_channel_credentials,
    compute_engine_channel_credentials,
    local_channel_credentials,
    metadata_call_credentials,
    ssl_channel_credentials,
    xds_channel_credentials,
)
from ._interceptor import intercept_channel
from ._interfaces import (
    AuthMetadataContext,
    AuthMetadataPlugin,
    AuthMetadataPluginCallback,
    Call,
    Channel,
    ClientCallDetails,
    Future,
    FutureCancelledError,
    FutureTimeoutError,
    GenericRpcHandler,
    HandlerCallDetails,
    RpcContext,
    RpcError,
    RpcMethodHandler,
    Server,
    ServerInterceptor,
    ServicerContext,
    ServiceRpcHandler,
    Status,
    StreamStreamClientInterceptor,
    StreamStreamMultiCallable,
    StreamUnaryClientInterceptor,
    StreamUnaryMultiCallable,
    UnaryStreamClientInterceptor,
    UnaryStreamMultiCallable,
    UnaryUnaryClientInterceptor,
    UnaryUnaryMultiCallable,
    method_handlers_generic_handler,
    stream_stream_rpc_method_handler,
    stream_unary_rpc_method_handler,
    unary_stream_rpc_method_handler,
    unary_unary_rpc_method_handler,
)
from ._ready import channel_ready_future
from ._version import __version__


def insecure_channel(
    target: str, options: Iterable[tuple[str, Any]] | None = None, compression: Compression | None = None
) -> Channel:
    """A channel without TLS."""
    return _BlockingChannel(target, options, None, compression)


def secure_channel(
    target: str,
    credentials: ChannelCredentials,
    options: Iterable[tuple[str, Any]] | None = None,
    compression: Compression | None = None,
) -> Channel:
    """A channel with credentials."""
    if credentials is None:
        raise ValueError("a secure channel has credentials")
    return _BlockingChannel(target, options, credentials, compression)


def _no_server(name: str) -> Callable[..., NoReturn]:
    def absent(*args: object, **named: object) -> NoReturn:
        raise NotImplementedError(f"grpc.{name}: nothing can connect to a function, so it can't serve gRPC")

    absent.__name__ = absent.__qualname__ = name
    return absent


server = _no_server("server")
alts_server_credentials = _no_server("alts_server_credentials")
dynamic_ssl_server_credentials = _no_server("dynamic_ssl_server_credentials")
insecure_server_credentials = _no_server("insecure_server_credentials")
local_server_credentials = _no_server("local_server_credentials")
ssl_server_certificate_configuration = _no_server("ssl_server_certificate_configuration")
ssl_server_credentials = _no_server("ssl_server_credentials")
xds_server_credentials = _no_server("xds_server_credentials")


def _no_compiler(name: str) -> Callable[..., NoReturn]:
    def absent(*args: object, **named: object) -> NoReturn:
        raise NotImplementedError(
            f"grpc.{name}: there is no compiler of .proto files; deploy the generated modules"
        )

    absent.__name__ = absent.__qualname__ = name
    return absent


protos = _no_compiler("protos")
services = _no_compiler("services")
protos_and_services = _no_compiler("protos_and_services")

__all__ = (
    "AuthMetadataContext", "AuthMetadataPlugin", "AuthMetadataPluginCallback", "Call", "CallCredentials", "Channel",
    "ChannelConnectivity", "ChannelCredentials", "ClientCallDetails", "Compression", "Future", "FutureCancelledError",
    "FutureTimeoutError", "GenericRpcHandler", "HandlerCallDetails", "LocalConnectionType", "RpcContext", "RpcError",
    "RpcMethodHandler", "Server", "ServerCertificateConfiguration", "ServerCredentials", "ServerInterceptor",
    "ServiceRpcHandler", "ServicerContext", "Status", "StatusCode", "StreamStreamClientInterceptor",
    "StreamStreamMultiCallable", "StreamUnaryClientInterceptor", "StreamUnaryMultiCallable",
    "UnaryStreamClientInterceptor", "UnaryStreamMultiCallable", "UnaryUnaryClientInterceptor",
    "UnaryUnaryMultiCallable", "__version__", "access_token_call_credentials", "aio", "alts_channel_credentials",
    "alts_server_credentials", "channel_ready_future", "composite_call_credentials", "composite_channel_credentials",
    "compute_engine_channel_credentials", "dynamic_ssl_server_credentials", "insecure_channel",
    "insecure_server_credentials", "intercept_channel", "local_channel_credentials", "local_server_credentials",
    "metadata_call_credentials", "method_handlers_generic_handler", "protos", "protos_and_services", "secure_channel",
    "server", "services", "ssl_channel_credentials", "ssl_server_certificate_configuration", "ssl_server_credentials",
    "stream_stream_rpc_method_handler", "stream_unary_rpc_method_handler", "unary_stream_rpc_method_handler",
    "unary_unary_rpc_method_handler", "xds_channel_credentials", "xds_server_credentials",
)  # fmt: skip
