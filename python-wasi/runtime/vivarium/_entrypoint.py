"""From the name of an entry point to the callable."""

from __future__ import annotations

import _imp
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import BYTECODE_SUFFIXES, SOURCE_SUFFIXES
from types import BuiltinFunctionType, FunctionType
from typing import Any

_SUFFIXES = tuple(SOURCE_SUFFIXES + BYTECODE_SUFFIXES)

_SHOWN = 10
"""Entry points that a message names at most."""


class HandlerNotFound(Exception):
    """The entry point names nothing callable."""

    # Part of the contract; the log shows it without the runner's module.
    __module__ = "builtins"


def find_handler(entrypoint: str) -> Callable[..., Any]:
    """Import the module of an entry point and return the callable.

    # Errors

    HandlerNotFound if the name has no dot, or is a path, or the module has no
    such attribute, or it isn't callable. Whatever importing the module
    raises.
    """
    module_name, _, attribute = entrypoint.rpartition(".")
    # A module name that begins with a dot is relative to a package, and there is
    # none; a name with slashes is never found.
    if not module_name or not attribute or module_name[0] == "." or "/" in entrypoint:
        raise HandlerNotFound(
            f"entry point '{entrypoint}' is not of the form <module>.<handler>: "
            f"module '{module_name}', attribute '{attribute}'"
        )
    module = importlib.import_module(module_name)
    try:
        handler = getattr(module, attribute)
    except AttributeError:
        raise HandlerNotFound(
            f"module '{module_name}' has no attribute '{attribute}'"
            + _those_there(module, module_name)
        ) from None
    if not callable(handler):
        raise HandlerNotFound(
            f"attribute '{attribute}' of module '{module_name}' is not callable "
            f"but of type '{type(handler).__name__}'" + _those_there(module, module_name)
        )
    return handler


def _those_there(module: object, module_name: str) -> str:
    """What may have been meant: the entry points that the module has."""
    there = [
        f"{module_name}.{name}"
        for name, value in getattr(module, "__dict__", {}).items()
        if not name.startswith("_") and _may_handle(value, module_name)
    ]
    if not there:
        return ""
    more = ", ..." if len(there) > _SHOWN else ""
    return "; it has: " + ", ".join(there[:_SHOWN]) + more


def _may_handle(value: object, module_name: str) -> bool:
    """Whether a value can be called, and is no tool that the module imports."""
    if isinstance(value, type) or not callable(value):
        return False
    plain = isinstance(value, (FunctionType, BuiltinFunctionType))
    return not plain or value.__module__ == module_name


def forget_shadowed(code: str, keep: frozenset[str]) -> None:
    """Drop loaded modules that the function's folder has its own versions of.

    The runner imports much of the standard library ahead. In a plain
    interpreter a function's random.py precedes the standard one; it has to do
    so here. Modules in keep, and those that CPython finds without searching
    sys.path, can't be replaced there either.
    """
    for name in _top_level_names(code):
        if name not in sys.modules or name in keep:
            continue
        if name in sys.builtin_module_names or _imp.is_frozen(name):
            continue
        inside = name + "."
        for loaded in list(sys.modules):
            if loaded == name or loaded.startswith(inside):
                del sys.modules[loaded]


def _top_level_names(code: str) -> Iterator[str]:
    """The names of modules and packages; namespace packages shadow nothing."""
    try:
        entries = os.listdir(code)
    except OSError:
        return
    for entry in entries:
        stem, suffix = os.path.splitext(entry)
        if suffix in _SUFFIXES:
            yield stem
        elif entry in sys.modules and any(
            os.path.isfile(f"{code}/{entry}/__init__{ending}") for ending in _SUFFIXES
        ):
            yield entry
