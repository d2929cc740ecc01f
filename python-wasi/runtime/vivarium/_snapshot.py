"""Hooks around the image of a loaded function, and what a clone must renew.

An image is the memory of one instance; every clone starts with all of it,
including the state of the random generators.
"""

from __future__ import annotations

import random
import sys
import tempfile
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

Hook = TypeVar("Hook", bound=Callable[..., Any])

_before_snapshot: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
_after_restore: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []


def register_before_snapshot(func: Hook, /, *args: Any, **kwargs: Any) -> Hook:
    """Register func(*args, **kwargs) to be called before the instance is frozen.

    The last registered is called first. Returns func, so it is a decorator too.
    """
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func: Hook, /, *args: Any, **kwargs: Any) -> Hook:
    """Register func(*args, **kwargs) to be called in each clone before its first call.

    The first registered is called first. Returns func, so it is a decorator too.
    """
    _after_restore.append((func, args, kwargs))
    return func


def run_before_snapshot(settle: Callable[[Any], Any]) -> None:
    """Call the hooks of register_before_snapshot; the first error ends it.

    What a hook returns is settled as the result of a handler is. That is passed, not
    imported: only the guest has it, and by now a function's module could be in its place.
    """
    for func, args, kwargs in reversed(_before_snapshot):
        settle(func(*args, **kwargs))


def run_after_restore(settle: Callable[[Any], Any]) -> None:
    """Call the hooks of register_after_restore; the first error ends it."""
    for func, args, kwargs in _after_restore:
        settle(func(*args, **kwargs))


def reseed() -> None:
    """Make this instance's Python random generators differ from its siblings'."""
    random.seed()
    # Both are created again when they are next needed.
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    uuid._node = uuid._last_timestamp = None  # type: ignore[attr-defined]
    # The generator behind numpy.random.rand() and the like.
    numpy_seed = getattr(sys.modules.get("numpy.random"), "seed", None)
    if callable(numpy_seed):
        numpy_seed()


def random_state() -> object:
    """A value that changes whenever ``random`` is seeded or drawn from."""
    return random.getstate()
