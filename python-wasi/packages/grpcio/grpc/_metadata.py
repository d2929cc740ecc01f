"""Metadata: what calls carry besides messages, as headers of HTTP."""

from __future__ import annotations

import base64
import binascii
import re
from collections import namedtuple
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

Metadatum = namedtuple("Metadatum", ("key", "value"))
Metadata = tuple[Metadatum, ...]
Headers = list[tuple[bytes, bytes]]

_KEY = re.compile(r"[0-9a-z_.-]+\Z")
_VALUE = re.compile(rb"[ -~]*\Z")

# What belongs to the protocol, and is not shown as metadata.
_PROTOCOL = {
    b"content-type", b"grpc-encoding", b"grpc-accept-encoding", b"grpc-status", b"grpc-message",
    b"grpc-timeout", b"te", b"content-length",
}  # fmt: skip


def encode(metadata: Iterable[tuple[str, str | bytes]] | None) -> Headers:
    """Headers that carry metadata.

    # Errors

    ValueError if a key or a value can't be sent.
    """
    return [_encoded(key, value) for key, value in metadata or ()]


def _encoded(key: str, value: str | bytes) -> tuple[bytes, bytes]:
    if not isinstance(key, str) or not _KEY.match(key):
        raise ValueError(f"the key {key!r} is not of the characters 0-9 a-z _ - .")
    if key.endswith("-bin"):
        data = value.encode() if isinstance(value, str) else bytes(value)
        return key.encode(), base64.b64encode(data).rstrip(b"=")
    try:
        data = value.encode("ascii") if isinstance(value, str) else bytes(value)
    except (UnicodeEncodeError, TypeError):
        data = b"\0"
    if not _VALUE.match(data):
        raise ValueError(f"the value of {key} is not of printable ASCII characters")
    return key.encode(), data.strip(b" ")


def decode(headers: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """The metadata among headers."""
    return tuple(
        datum
        for key, value in headers
        if not key.startswith(b":") and key not in _PROTOCOL
        for datum in _decoded(key, value)
    )


def _decoded(key: bytes, value: bytes) -> Iterator[Metadatum]:
    name = key.decode("latin-1")
    if not key.endswith(b"-bin"):
        yield Metadatum(name, value.decode("utf-8", "surrogateescape"))
        return
    for part in value.split(b","):
        try:
            yield Metadatum(name, base64.b64decode(part.strip() + b"=="))
        except binascii.Error:
            yield Metadatum(name, part)


def message_of(value: bytes) -> str:
    """The text of a grpc-message header."""
    return unquote_to_bytes(value).decode("utf-8", "replace")


def timeout_of(seconds: float) -> bytes:
    """The value of a grpc-timeout header: at most eight digits and a unit."""
    for unit, scale in (b"u", 1e6), (b"m", 1e3), (b"S", 1.0), (b"M", 1 / 60), (b"H", 1 / 3600):
        # Rounded up: a server must not give up before the client does.
        amount = -int(-max(seconds, 0) * scale // 1)
        if amount < 10**8:
            return b"%d%s" % (amount, unit)
    return b"99999999H"


def merged(*parts: Any) -> list[tuple[str, str | bytes]]:
    """Several lists of metadata as one; None is an empty one."""
    return [(key, value) for part in parts for key, value in part or ()]
