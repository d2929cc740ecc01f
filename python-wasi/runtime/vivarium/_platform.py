"""What the platform lacks, in a form that functions can deal with.

CPython leaves out what the platform does not have, but no one expects an
AttributeError from the depths of the standard library. Here are the missing
names. They return what is known, and otherwise raise what they raise on a
machine without a network and without other processes.

To be imported before anything that imports socket, shutil or threading, which
check which names exist.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import gc
import os
import posix
import time
from collections.abc import Callable
from functools import wraps
from operator import index
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import _vivarium


def _fill(module: ModuleType, names: dict[str, Any]) -> None:
    """Add missing names to a module."""
    for name, value in names.items():
        if not hasattr(module, name):
            setattr(module, name, value)


# What a machine's own name is, and a family of sockets of which there are pairs alone.

_fill(
    _socket,
    {
        "AF_UNIX": 1,
        "gethostname": lambda: "localhost",
        "if_nameindex": lambda: [(1, "lo")],
    },
)


# Users and processes: one of each.


def _zero() -> int:
    return 0


def _own(pid: int = 0, /) -> int:
    if pid not in (0, os.getpid()):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return os.getpid()


def _kill(pid: int, signal: int, /) -> None:
    _own(pid)
    if signal != 0:
        from signal import raise_signal

        raise_signal(signal)


def _getlogin() -> NoReturn:
    raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))


def _chown(
    path: Any, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True
) -> None:
    """Accept any owner; a file always belongs to the one user.

    Refusing other owners would stop tarfile, which requests them as root, before
    it has set modes and times.
    """
    index(uid), index(gid)
    os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def _lchown(path: Any, uid: int, gid: int) -> None:
    _chown(path, uid, gid, follow_symlinks=False)


def _fchown(fd: int, uid: int, gid: int) -> None:
    _chown(fd, uid, gid)


def _without(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise OSError(errno.ENOSYS, f"{what} on this platform")

    return refuse


def _pipe() -> tuple[int, int]:
    """Make a pipe of a pair of sockets, each of which is used one way.

    Neither is shut down the other way: the end that is written to would be ready
    for reading, which is how event loops learn that nobody reads any more.
    """
    reader, writer = _socket.socketpair(_socket.AF_UNIX)  # type: ignore[attr-defined]
    return reader.detach(), writer.detach()


_of_os = {
    "chown": _chown,
    "fchown": _fchown,
    "getegid": _zero,
    "geteuid": _zero,
    "getgid": _zero,
    "getgroups": lambda: [0],
    "getlogin": _getlogin,
    "getpgid": _own,
    "getpgrp": lambda: _own(),
    "getppid": _zero,
    "getsid": _own,
    "getuid": _zero,
    "kill": _kill,
    "lchown": _lchown,
    "pipe": _pipe,
    "sched_getaffinity": lambda pid, /: {0},
    "sync": lambda: None,
    "system": _without("no program can be started"),
}
_fill(posix, _of_os)  # where os gets its functions from
_fill(os, _of_os)


# Threads, which have no clocks of their own.


def _explaining(start: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that starts a thread, or says why there can be no more."""

    @wraps(start)
    def start_thread(*args: Any, **kwargs: Any) -> Any:
        try:
            return start(*args, **kwargs)
        except RuntimeError as e:
            if str(e) == "can't start new thread":
                e.args = (f"{e}: an instance has at most 1,024, with their stacks in its memory",)
            raise

    return start_thread


for _name in "start_joinable_thread", "start_new_thread", "start_new":
    if hasattr(_thread, _name):
        setattr(_thread, _name, _explaining(getattr(_thread, _name)))
_fill(_thread, {"get_native_id": _thread.get_ident})

_known_clock = time.get_clock_info


def _get_clock_info(name: str, /) -> SimpleNamespace:
    """Return what is known about a clock."""
    return _known_clock("process_time" if name == "thread_time" else name)


time.get_clock_info = _get_clock_info
_fill(time, {"thread_time": time.process_time, "thread_time_ns": time.process_time_ns})


# The collector, for which what an image holds does not exist.

_of_generation = gc.get_objects


@wraps(gc.get_objects)
def _get_objects(generation: int | None = None) -> list[Any]:
    return _vivarium.get_objects() if generation is None else _of_generation(generation)


gc.get_objects = _get_objects
gc.get_referrers = _vivarium.get_referrers
