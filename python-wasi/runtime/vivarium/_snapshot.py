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
from weakref import ref

Hook = TypeVar("Hook", bound=Callable[..., Any])

_before_snapshot: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
_after_restore: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

_seed = random.Random.seed
_draw: Callable[[int], bytes]  # draws what clones may share; only the guest has that
# What the function's import makes by random.Random(), and the states it begins with.
_made: list[tuple[random.Random, object]] = []
_generators: list[ref[random.Random]] = []  # what is left of it
_MOST_GENERATORS = 64  # each takes a clone some 10 µs and a page


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


def _seed_apart(generator: random.Random, a: Any = None, version: int = 2) -> None:
    """Seed as random.Random.seed does, though without drawing what clones must not
    share: they seed the generator again."""
    if a is not None or type(generator) is not random.Random or len(_made) == _MOST_GENERATORS:
        return _seed(generator, a, version)
    _seed(generator, int.from_bytes(_draw(2496)))  # the size of its state
    _made.append((generator, generator.getstate()))
    return None


def watch(draw: Callable[[int], bytes]) -> object:
    """Look at what an import that is to be frozen does with ``random``, until unwatch.
    Returns what touched needs. Generators get their seeds by draw."""
    global _draw
    _draw = draw
    random.Random.seed = _seed_apart  # type: ignore[method-assign]
    return random.getstate()


def touched(before: object) -> bool:
    """Whether the import has seeded a generator by what it chose, or drawn from one."""
    return random.getstate() != before or any(g.getstate() != state for g, state in _made)


def unwatch() -> None:
    """Note the generators that clones must seed."""
    if random.Random.seed is _seed_apart:
        random.Random.seed = _seed  # type: ignore[method-assign]
    _generators.extend(ref(generator) for generator, _ in _made)
    _made.clear()


def reseed() -> None:
    """Make this instance's Python random generators differ from its siblings'."""
    random.seed()
    for made in _generators:
        if generator := made():
            generator.seed()
    # Both are created again when they are next needed.
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    uuid._node = uuid._last_timestamp = None  # type: ignore[attr-defined]
    # The generator behind numpy.random.rand() and the like.
    numpy_seed = getattr(sys.modules.get("numpy.random"), "seed", None)
    if callable(numpy_seed):
        numpy_seed()
