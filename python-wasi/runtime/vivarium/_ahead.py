"""Compiling a function's modules ahead of their import.

If each instance must import a module itself, because the import draws randomness
or reads the clock, it need not compile the source: the result is the same each
time. So that is done once, before the freeze, and each instance only executes.
"""

from __future__ import annotations

import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import CodeType

_compiled: dict[str, CodeType] = {}


class Loader(SourceFileLoader):
    """Loads a module of the function, from its compiled code if there is any."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the module's code, as SourceFileLoader does."""
        code = _compiled.get(self.path)
        return super().get_code(fullname) if code is None else code


_find = FileFinder.path_hook(
    (Loader, SOURCE_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES)
)


def install(code: str) -> None:
    """Make this module find and load modules below a folder."""

    def hook(path: str) -> FileFinder:
        if path != code and not path.startswith(code + "/"):
            raise ImportError("not a folder of the function")
        return _find(path)

    sys.path_hooks.insert(0, hook)


def sources(code: str) -> list[str]:
    """The files below a folder from which modules have been imported."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    suffixes = tuple(SOURCE_SUFFIXES)
    return [
        file
        for file in files
        if isinstance(file, str) and file.startswith(code + "/") and file.endswith(suffixes)
    ]


def compile_all(files: list[str]) -> None:
    """Compile files; what can't be compiled is left for its import to report."""
    for file in files:
        loader = Loader("", file)
        try:
            _compiled[file] = loader.source_to_code(loader.get_data(file), file)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            pass
