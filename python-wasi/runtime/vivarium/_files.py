"""File permissions, and free space.

CPython has none of these when built for WASI, except for a chmod that does
nothing. The host stores permissions for files in /tmp; the embedding asks it.
"""

from __future__ import annotations

import errno
import importlib
import os
import posix
import shutil
from collections.abc import Callable
from typing import Any

import _vivarium

_PAGE = 4096
_LONGEST_NAME = 255


def _chmod(
    path: Any, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True
) -> None:
    """Change the permissions of a file, which may be given as a descriptor."""
    if isinstance(path, int):
        _vivarium.fchmod(path, mode)
        return
    try:
        _vivarium.chmod(path, mode, -1 if dir_fd is None else dir_fd, follow_symlinks)
    except OSError as error:
        if follow_symlinks or error.errno != errno.ENOTSUP:
            raise
        # As shutil and others expect where links have no permissions, as on Linux.
        raise NotImplementedError("chmod: follow_symlinks unavailable on this platform") from None


def _statvfs(path: Any) -> os.statvfs_result:
    """Return the size of the file system that a file is on."""
    if isinstance(path, int):
        path = "/tmp" if os.fstat(path).st_dev == os.stat("/tmp").st_dev else "/"
    size, free, names, free_names = _vivarium.space(path, -1)
    blocks, left = size // _PAGE, free // _PAGE
    return os.statvfs_result(
        (_PAGE, _PAGE, blocks, left, left, names, free_names, free_names, 0, _LONGEST_NAME, 0)
    )


def _add(name: str, function: Callable[..., Any]) -> None:
    function.__name__ = function.__qualname__ = name
    function.__module__ = "posix"
    setattr(posix, name, function)
    setattr(os, name, function)


_add("chmod", _chmod)
_add("statvfs", _statvfs)
_add("fstatvfs", lambda fd, /: _statvfs(fd))
posix.fchmod = os.fchmod = _vivarium.fchmod
posix.umask = os.umask = _vivarium.umask
os.supports_fd |= {os.chmod, os.statvfs}
os.supports_dir_fd.add(os.chmod)
# It checks what os has when it is imported, which is before this.
importlib.reload(shutil)
