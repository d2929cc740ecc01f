"""Messages on the wire: a flag, a length and bytes that may be compressed."""

from __future__ import annotations

import struct
import zlib

from ._codes import Compression, StatusCode
from ._failure import Failure

PREFIX = struct.Struct(">BI")

ENCODINGS = {Compression.Deflate: b"deflate", Compression.Gzip: b"gzip"}
ACCEPTED = b"identity, deflate, gzip"

# zlib's window: of the zlib format and of gzip's.
_WINDOWS = {b"deflate": zlib.MAX_WBITS, b"gzip": zlib.MAX_WBITS | 16}


def framed(message: bytes, compression: Compression | None, limit: int) -> bytes:
    """A message as it is sent.

    # Errors

    Failure if it is longer than limit, unless that is negative.
    """
    if 0 <= limit < len(message):
        raise Failure(
            StatusCode.RESOURCE_EXHAUSTED, f"CLIENT: Sent message larger than max ({len(message)} vs. {limit})"
        )
    if compression not in ENCODINGS:
        return PREFIX.pack(0, len(message)) + message
    packer = zlib.compressobj(wbits=_WINDOWS[ENCODINGS[compression]])
    packed = packer.compress(message) + packer.flush()
    return PREFIX.pack(1, len(packed)) + packed


class Unframer:
    """Cuts the bytes of a stream into messages."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self.encoding = b"identity"

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete with these bytes.

        # Errors

        Failure if one is longer than allowed, or is no message.
        """
        self._bytes += data
        messages = []
        while len(self._bytes) >= PREFIX.size:
            flag, length = PREFIX.unpack_from(self._bytes)
            if 0 <= self._limit < length:
                raise self._too_long(length)
            if len(self._bytes) < PREFIX.size + length:
                break
            message = bytes(memoryview(self._bytes)[PREFIX.size : PREFIX.size + length])
            del self._bytes[: PREFIX.size + length]
            messages.append(self._unpacked(message) if flag & 1 else message)
        return messages

    def _unpacked(self, message: bytes) -> bytes:
        if self.encoding not in _WINDOWS:
            raise Failure(
                StatusCode.INTERNAL, f"Compressed flag set with {self.encoding.decode('latin-1')} encoding"
            )
        unpacker = zlib.decompressobj(_WINDOWS[self.encoding])
        try:
            # A limit of 0 would be none.
            unpacked = unpacker.decompress(message, max(self._limit + 1, 0))
        except zlib.error as error:
            raise Failure(StatusCode.INTERNAL, f"a message can't be decompressed: {error}") from None
        if 0 <= self._limit < len(unpacked):
            raise self._too_long(len(unpacked))
        if not unpacker.eof:
            raise Failure(StatusCode.INTERNAL, "a message can't be decompressed: it is cut off")
        return unpacked

    def _too_long(self, length: int) -> Failure:
        return Failure(
            StatusCode.RESOURCE_EXHAUSTED, f"CLIENT: Received message larger than max ({length} vs. {self._limit})"
        )
