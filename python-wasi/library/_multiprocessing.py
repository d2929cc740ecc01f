"""Locks among processes, of which there is one: threads are all that they keep apart.

multiprocessing.pool.ThreadPool stands on them.
"""

from threading import Semaphore, get_ident

flags: dict[str, int] = {}

_RECURSIVE_MUTEX = 0


def sem_unlink(name: str, /) -> None:
    """Do nothing: no semaphore has a name that others could find it by."""


class SemLock:
    """A semaphore, or a lock that its owner may take again."""

    SEM_VALUE_MAX = 2**31 - 1

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        if not 0 <= value <= maxvalue:
            raise ValueError("semaphore or lock value out of range")
        self.kind, self.maxvalue, self.handle, self.name = kind, maxvalue, 0, None
        self._semaphore = Semaphore(value)
        self._owner: int | None = None
        self._held = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; block, for timeout seconds at most, and return whether it was taken."""
        if self.kind == _RECURSIVE_MUTEX and self._is_mine():
            self._held += 1
            return True
        if timeout is not None:
            timeout = max(timeout, 0)
        if not self._semaphore.acquire(block, timeout if block else None):
            return False
        self._owner, self._held = get_ident(), self._held + 1
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self.kind == _RECURSIVE_MUTEX:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._held > 1:
                self._held -= 1
                return
        elif self._get_value() >= self.maxvalue:
            raise ValueError("semaphore or lock released too many times")
        self._held -= 1
        self._semaphore.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *args: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._owner == get_ident()

    def _get_value(self) -> int:
        return self._semaphore._value  # type: ignore[attr-defined]

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def _after_fork(self) -> None:
        self._held = 0
