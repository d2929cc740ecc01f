"""Resource usage of this process. Its limits are the function's memory and
timeout, which it can't change."""

import time
from typing import NamedTuple

from _vivarium import memory_size

error = OSError

RLIM_INFINITY = -1
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE = 0, 1, 2, 3, 4
RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS = 5, 6, 7, 8, 9
RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD = 0, -1, 1


class struct_rusage(NamedTuple):
    """Resources used: CPU seconds, kibibytes of memory."""

    ru_utime: float = 0.0
    ru_stime: float = 0.0
    ru_maxrss: int = 0
    ru_ixrss: int = 0
    ru_idrss: int = 0
    ru_isrss: int = 0
    ru_minflt: int = 0
    ru_majflt: int = 0
    ru_nswap: int = 0
    ru_inblock: int = 0
    ru_oublock: int = 0
    ru_msgsnd: int = 0
    ru_msgrcv: int = 0
    ru_nsignals: int = 0
    ru_nvcsw: int = 0
    ru_nivcsw: int = 0


def getrusage(who: int, /) -> struct_rusage:
    """Return the resources used. Raises ValueError unless who is a RUSAGE_ constant."""
    if who == RUSAGE_CHILDREN:
        return struct_rusage()
    if who not in (RUSAGE_SELF, RUSAGE_THREAD):
        raise ValueError("invalid who parameter")
    return struct_rusage(time.process_time(), ru_maxrss=memory_size() >> 10)


def getrlimit(resource: int, /) -> tuple[int, int]:
    """Return the soft and hard limit. Only the number of open files is limited."""
    _check(resource)
    if resource == RLIMIT_NOFILE:
        return 1024, 1024
    return RLIM_INFINITY, RLIM_INFINITY


def setrlimit(resource: int, limits: tuple[int, int], /) -> None:
    """Keep the limits. Raises ValueError for other ones."""
    if tuple(limits) != getrlimit(resource):
        raise ValueError("the limits of a function can't be changed from within")


def getpagesize() -> int:
    """Return the size of a page of linear memory in bytes."""
    return 65536


def _check(resource: int) -> None:
    if resource not in range(RLIMIT_AS + 1):
        raise ValueError("invalid resource specified")
