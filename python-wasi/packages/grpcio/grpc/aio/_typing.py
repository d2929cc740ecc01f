"""Names for annotations, which packages import from here though the name says private."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from ._interfaces import _EOF
from ._metadata import Metadata

RequestType = TypeVar("RequestType")
ResponseType = TypeVar("ResponseType")

MetadataKey = str
MetadataValue = str | bytes
MetadatumType = tuple[MetadataKey, MetadataValue]
MetadataType = Metadata | Sequence[MetadatumType]

ChannelArgumentType = Sequence[tuple[str, Any]]
DeserializingFunction = Callable[[bytes], Any]
DoneCallbackType = Callable[[Any], None]
EOFType = _EOF
RequestIterableType = Iterable[RequestType] | AsyncIterable[RequestType]
ResponseIterableType = AsyncIterable[ResponseType]
SerializingFunction = Callable[[Any], bytes]
