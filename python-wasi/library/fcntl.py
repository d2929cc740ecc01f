"""File locks, which are always granted: they are for other processes, of which
there are none. The only other operations are those on flags."""

import errno
import os
from typing import Any

LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8
F_GETFD, F_SETFD, F_GETFL, F_SETFL = 1, 2, 3, 4
F_GETLK, F_SETLK, F_SETLKW = 5, 6, 7
F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
FD_CLOEXEC = 1


def flock(fd: Any, operation: int, /) -> None:
    """Lock or unlock a file, with an operation of LOCK_SH, LOCK_EX or LOCK_UN."""
    _lock(fd, operation)


def lockf(fd: Any, cmd: int, len: int = 0, start: int = 0, whence: int = 0, /) -> None:
    """Lock or unlock a part of a file, like flock."""
    _lock(fd, cmd)


def fcntl(fd: Any, cmd: int, arg: int | bytes = 0, /) -> int | bytes:
    """Get or set the flags of a file. OSError: no other command is known."""
    number = _number(fd)
    match cmd:
        case 1:  # F_GETFD
            return 0 if os.get_inheritable(number) else FD_CLOEXEC
        case 3:  # F_GETFL
            return 0 if os.get_blocking(number) else os.O_NONBLOCK
        case 4:  # F_SETFL
            os.set_blocking(number, not arg & os.O_NONBLOCK)  # type: ignore[operator]
            return 0
        case 2 | 6 | 7:  # F_SETFD, F_SETLK, F_SETLKW
            return arg if isinstance(arg, bytes) else 0
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def ioctl(fd: Any, request: int, arg: Any = 0, mutate_flag: bool = True, /) -> int:
    """Control a device. Raises OSError: there is none."""
    _number(fd)
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


def _lock(fd: Any, operation: int) -> None:
    _number(fd)
    if operation & ~LOCK_NB not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _number(fd: Any) -> int:
    """The descriptor of an open file, which may be an object with a fileno()."""
    if isinstance(fd, int):
        number = fd
    elif not hasattr(fd, "fileno"):
        raise TypeError("argument must be an int, or have a fileno() method.")
    elif not isinstance(number := fd.fileno(), int):
        raise TypeError("fileno() returned a non-integer")
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    os.fstat(number)
    return number
