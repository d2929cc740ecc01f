"""The guest's own packages with modules in C, if it has any.

Those modules are built in, under their full names, and CPython finds what is built
in before all else. But a function may bring another version of a package, whose
files don't fit them: they belong to the guest's copy of the package alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import BuiltinImporter, ModuleSpec
from typing import Any

SITE = f"{sys.base_prefix}/lib/python3.13/site-packages"
"""The folder with the guest's packages, last on sys.path."""


class Importer(BuiltinImporter):
    """Finds built-in modules, those of a package only beside its files."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Iterable[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """Return what is known about a module, or None if it is to be found elsewhere."""
        if path is not None and not any(folder.startswith(SITE) for folder in path):
            return None
        return super().find_spec(fullname, path, target)


def install() -> None:
    """Make built-in modules be found this way."""
    if SITE in sys.path:
        sys.meta_path[sys.meta_path.index(BuiltinImporter)] = Importer
