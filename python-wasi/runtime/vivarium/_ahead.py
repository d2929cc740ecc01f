"""Compiling a function's modules ahead of their import.

Where an import must happen in each instance, because it draws randomness or
reads the clock, compiling the source need not: what comes out of it is the same
each time. It is done once, before the freeze, and each instance only executes.
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
    """Loads a module of the function, from what was compiled if it was."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the module's code; as SourceFileLoader does."""
        code = _compiled.get(self.path)
        return super().get_code(fullname) if code is None else code


_find = FileFinder.path_hook(
    (Loader, SOURCE_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES)
)


def install(code: str) -> None:
    """Have modules below a folder found and loaded by this module."""

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
