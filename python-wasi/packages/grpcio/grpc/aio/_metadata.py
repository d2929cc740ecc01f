"""Metadata as asyncio's calls give and take it."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import Any


class Metadata(Collection):
    """Pairs of keys and values; a key may have several values."""

    def __init__(self, *pairs: tuple[str, str | bytes]) -> None:
        self._values: dict[str, list[Any]] = {}
        for key, value in pairs:
            self.add(key, value)

    @classmethod
    def from_tuple(cls, raw_metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
        """The metadata of a sequence of pairs."""
        return cls(*raw_metadata or ())

    def add(self, key: str, value: str | bytes) -> None:
        """Add a value to those of a key."""
        self._values.setdefault(key, []).append(value)

    def __len__(self) -> int:
        return sum(map(len, self._values.values()))

    def __getitem__(self, key: str) -> Any:
        return self._values[key][0]

    def __setitem__(self, key: str, value: str | bytes) -> None:
        # The first value, which is what reading gives.
        self._values.setdefault(key, [None])[0] = value

    def __delitem__(self, key: str) -> None:
        values = self._values[key]
        del values[0]
        if not values:
            del self._values[key]

    def delete_all(self, key: str) -> None:
        """Remove a key."""
        del self._values[key]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((key, value) for key, values in self._values.items() for value in values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Metadata):
            return self._values == other._values
        if isinstance(other, tuple):
            return tuple(self) == other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> Metadata:
        return Metadata(*self, *other)

    def __repr__(self) -> str:
        return f"Metadata({tuple(self)!r})"

    def get(self, key: str, default: Any = None) -> Any:
        """A key's first value."""
        return self._values[key][0] if key in self._values else default

    def get_all(self, key: str) -> list[Any]:
        """All values of a key."""
        return list(self._values.get(key, ()))

    def set_all(self, key: str, values: list[Any]) -> None:
        """Replace the values of a key."""
        self._values[key] = values

    def keys(self) -> KeysView:
        return _Keys(self)

    def values(self) -> ValuesView:
        return _Values(self)

    def items(self) -> ItemsView:
        return _Items(self)


class _Keys(KeysView):
    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._mapping)  # type: ignore[attr-defined, misc]


class _Values(ValuesView):
    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping)  # type: ignore[attr-defined, misc]


class _Items(ItemsView):
    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._mapping)  # type: ignore[attr-defined]
