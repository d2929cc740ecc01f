"""Hooks around the image of a loaded function, and what a clone must renew.

An image is the memory of one instance; every clone begins with all of it,
the state of the random generators included.
"""

from __future__ import annotations

import random
import tempfile
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from vivarium import _loop

Hook = TypeVar("Hook", bound=Callable[..., Any])

_before_snapshot: list[tuple[Callable[..., Any], tuple, dict[str, Any]]] = []
_after_restore: list[tuple[Callable[..., Any], tuple, dict[str, Any]]] = []


def register_before_snapshot(func: Hook, /, *args: Any, **kwargs: Any) -> Hook:
    """Have func(*args, **kwargs) called before the instance is frozen.

    The last registered is called first. Returns func, so it decorates too.
    """
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func: Hook, /, *args: Any, **kwargs: Any) -> Hook:
    """Have func(*args, **kwargs) called in each clone before its first call.

    The first registered is called first. Returns func, so it decorates too.
    """
    _after_restore.append((func, args, kwargs))
    return func


def run_before_snapshot() -> None:
    """Call the hooks of register_before_snapshot; the first error ends it."""
    for func, args, kwargs in reversed(_before_snapshot):
        _loop.settle(func(*args, **kwargs))


def run_after_restore() -> None:
    """Call the hooks of register_after_restore; the first error ends it."""
    for func, args, kwargs in _after_restore:
        _loop.settle(func(*args, **kwargs))


def reseed() -> None:
    """Part this instance's random generators in Python from those of its siblings."""
    random.seed()
    # Both are made again when they are next asked for.
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    uuid._node = uuid._last_timestamp = None  # type: ignore[attr-defined]


def random_state() -> object:
    """A value that changes when somebody draws from, or seeds, ``random``."""
    return random.getstate()
