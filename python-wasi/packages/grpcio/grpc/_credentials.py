"""Credentials of channels (TLS) and of calls (metadata such as tokens)."""

from __future__ import annotations

import dataclasses
import os
import re
import ssl
import tempfile
from collections.abc import Callable
from typing import Any

from ._interfaces import AuthMetadataContext, AuthMetadataPlugin


class CallCredentials:
    """What adds metadata to calls."""

    def __init__(self, plugins: tuple[AuthMetadataPlugin, ...]) -> None:
        self.plugins = plugins


class ChannelCredentials:
    """How a channel is secured, and what it adds to its calls."""

    def __init__(self, tls: TLS | None, call: CallCredentials | None = None) -> None:
        self.tls = tls
        self.call = call


class ServerCredentials:
    """How a server is secured; there are none here."""


class ServerCertificateConfiguration:
    """The certificates of a server; there are none here."""


class TLS:
    """What a channel's connections are secured by.

    The certificates are read when the first connection is made: that costs time, and
    writes files, which an import that is to be frozen must not do.
    """

    def __init__(self, roots: bytes | None, key: bytes | None, chain: bytes | None) -> None:
        if (key is None) != (chain is None):
            raise ValueError("a private key and a certificate chain go together")
        self._roots, self._key, self._chain = roots, key, chain
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """The context of the ssl module; the first time it is made.

        # Errors

        ssl.SSLError and ValueError if the certificates are none.
        """
        if self._context is None:
            roots = _certificates(self._roots) if self._roots is not None else None
            context = ssl.create_default_context(cadata=roots)
            context.set_alpn_protocols(["h2"])
            if self._key is not None and self._chain is not None:
                _load_chain(context, self._key, self._chain)
            self._context = context
        return self._context


_CERTIFICATE = re.compile(rb"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----[!-~\s]*?-----END \1-----")


def _certificates(roots: bytes) -> str:
    """The certificates in a bundle, without the text between them, which the ssl module takes in ASCII alone.

    # Errors

    ValueError if there are none: the ssl module would take the platform's.
    """
    found = [match[0].decode("ascii") for match in _CERTIFICATE.finditer(roots)]
    if not found:
        raise ValueError("there is no certificate in the roots")
    return "\n".join(found)


def _load_chain(context: ssl.SSLContext, key: bytes, chain: bytes) -> None:
    """Give a context the client's certificate; it reads only files."""
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with open(handle, "wb") as file:
            file.write(chain.rstrip() + b"\n" + key)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)


@dataclasses.dataclass(frozen=True, slots=True)
class _Context(AuthMetadataContext):
    service_url: str
    method_name: str


def auth_context(authority: str, path: str) -> AuthMetadataContext:
    """What plugins are told about a call."""
    service, _, method = path.rpartition("/")
    return _Context(f"https://{authority.removesuffix(':443')}{service}", method)


class Token(AuthMetadataPlugin):
    def __init__(self, token: str) -> None:
        self.metadata = (("authorization", f"Bearer {token}"),)

    def __call__(self, context: AuthMetadataContext, callback: Callable[..., Any]) -> None:
        callback(self.metadata, None)


def ssl_channel_credentials(
    root_certificates: bytes | None = None,
    private_key: bytes | None = None,
    certificate_chain: bytes | None = None,
) -> ChannelCredentials:
    """TLS, with certificates in PEM; without roots, the platform's are used."""
    return ChannelCredentials(TLS(root_certificates, private_key, certificate_chain))


def local_channel_credentials(local_connect_type: Any = None) -> ChannelCredentials:
    """No TLS, for connections within the instance."""
    return ChannelCredentials(None)


def metadata_call_credentials(metadata_plugin: AuthMetadataPlugin, name: str | None = None) -> CallCredentials:
    """What a plugin adds to each call."""
    return CallCredentials((metadata_plugin,))


def access_token_call_credentials(access_token: str) -> CallCredentials:
    """A token that is sent with each call."""
    return CallCredentials((Token(access_token),))


def composite_call_credentials(*call_credentials: CallCredentials) -> CallCredentials:
    """Several credentials together."""
    return CallCredentials(tuple(p for each in call_credentials for p in each.plugins))


def composite_channel_credentials(
    channel_credentials: ChannelCredentials, *call_credentials: CallCredentials
) -> ChannelCredentials:
    """A channel's credentials, and those of all its calls."""
    before = (channel_credentials.call,) if channel_credentials.call else ()
    return ChannelCredentials(channel_credentials.tls, composite_call_credentials(*before, *call_credentials))


def _absent(what: str) -> Callable[..., Any]:
    def credentials(*args: Any, **named: Any) -> Any:
        raise NotImplementedError(f"{what} is not available on this platform")

    return credentials


alts_channel_credentials = _absent("ALTS")
compute_engine_channel_credentials = _absent("ALTS")
xds_channel_credentials = _absent("xDS")
