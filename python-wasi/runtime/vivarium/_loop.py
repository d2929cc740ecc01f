"""An asyncio event loop that needs no sockets of its own, which an image could not hold.

The loop of an instance is kept between calls: tasks that a call leaves behind are
suspended when it returns and continue during the next one.
"""

from __future__ import annotations

import asyncio
import selectors
import types
import weakref
from _thread import allocate_lock, get_ident
from _vivarium import interrupt
from asyncio import events
from asyncio.selector_events import BaseSelectorEventLoop
from inspect import isawaitable
from typing import Any, NoReturn

# select.poll if available: it has no limit on descriptors.
_FileSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)

# Python 3.12 has tasks that start at once, 3.13 the two halves of run_forever.
_CAN_START_AT_ONCE = hasattr(asyncio.BaseEventLoop, "_run_forever_setup")

_loops: weakref.WeakSet[asyncio.BaseEventLoop] = weakref.WeakSet()

# asyncio.all_tasks() leaves out those that are done.
_all_tasks: weakref.WeakSet[asyncio.Task] = getattr(
    asyncio.tasks, "_scheduled_tasks", weakref.WeakSet()
)


class _Selector(_FileSelector):  # type: ignore[misc, valid-type]
    """Waits for files if there are any, and else only for another thread."""

    def __init__(self) -> None:
        super().__init__()
        self._bell = allocate_lock()  # is free when the loop is to wake up
        self._bell.acquire()
        self._waiting: int | None = None  # the thread that waits for files

    def select(self, timeout: float | None = None) -> list:
        if not self.get_map():
            self._bell.acquire(timeout=-1 if timeout is None else max(timeout, 0))
            return []
        if self._bell.acquire(False):
            timeout = 0
        self._waiting = get_ident()
        try:
            return super().select(timeout)
        finally:
            self._waiting = None

    def wake(self) -> None:
        """End the wait of another thread, the present one or the next."""
        if self._bell.locked():
            self._bell.release()
        if self._waiting is not None:
            interrupt(self._waiting)


class EventLoop(asyncio.SelectorEventLoop):
    """The policy's loop: the stock one with a shortcut."""

    def run_coroutine(self, coroutine: types.CoroutineType) -> Any:
        """What run_until_complete does, three times as fast if nothing waits.

        The coroutine's first step, which often is the last, is made without running
        the loop.
        """
        if self._ready or self._scheduled or not _CAN_START_AT_ONCE:  # type: ignore[attr-defined]
            return self.run_until_complete(coroutine)
        self._run_forever_setup()  # type: ignore[attr-defined]
        try:
            task = asyncio.Task(coroutine, loop=self, eager_start=True)  # type: ignore[call-arg]
        finally:
            stopped = self._stopping  # type: ignore[has-type]
            self._run_forever_cleanup()  # type: ignore[attr-defined]
        if task.done() and not self._ready:  # type: ignore[attr-defined]
            return task.result()
        if stopped:
            self.stop()
        return self.run_until_complete(task)


# asyncio's own loops, with their need for a socket pair taken out: other threads wake
# the selector up. Those that are made with a selector of the function's have the pair.
# The functions below take the place of methods of theirs.

_call_exception_handler = asyncio.BaseEventLoop.call_exception_handler
_make_pair = BaseSelectorEventLoop._make_self_pipe  # type: ignore[attr-defined]
_close_pair = BaseSelectorEventLoop._close_self_pipe  # type: ignore[attr-defined]
_write_to_pair = BaseSelectorEventLoop._write_to_self  # type: ignore[attr-defined]


def _make_self_pipe(self: asyncio.BaseEventLoop) -> None:
    # Each loop calls this when it is made.
    _loops.add(self)
    if not isinstance(self._selector, _Selector):  # type: ignore[attr-defined]
        _make_pair(self)


def _close_self_pipe(self: asyncio.BaseEventLoop) -> None:
    if getattr(self, "_ssock", None) is not None:
        _close_pair(self)


def _write_to_self(self: asyncio.BaseEventLoop) -> None:
    selector = self._selector  # type: ignore[attr-defined]
    if isinstance(selector, _Selector):
        selector.wake()
    elif selector is not None:  # else the loop is closed
        _write_to_pair(self)


def _no_signals(self: asyncio.BaseEventLoop, sig: int, *args: Any) -> NoReturn:
    raise NotImplementedError("signals are not delivered on this platform")


def _report(self: asyncio.BaseEventLoop, context: dict[str, Any]) -> None:
    # These two leave the loop at once and are reported there.
    if not isinstance(context.get("exception"), (SystemExit, KeyboardInterrupt)):
        _call_exception_handler(self, context)


class Policy(asyncio.AbstractEventLoopPolicy):
    """Hands out the instance's loop wherever a function asks for "the" loop.

    asyncio.run() and loop.close() leave a stock policy without a usable loop. A
    function that calls them in one call must find a loop in the next.
    """

    def __init__(self) -> None:
        self._set: asyncio.AbstractEventLoop | None = None
        self._own: asyncio.AbstractEventLoop | None = None

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._set
        if loop is None or loop.is_closed():
            loop = self._own
            if loop is None or loop.is_closed():
                loop = self._own = EventLoop()
        return loop

    def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"an event loop or None is expected, not {type(loop).__name__}")
        self._set = loop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return EventLoop()


def install() -> None:
    """Make all loops of asyncio work here, and the policy use this module's."""
    selectors.DefaultSelector = _Selector  # type: ignore[misc]
    for base, methods in {
        asyncio.BaseEventLoop: {
            "call_exception_handler": _report,
        },
        BaseSelectorEventLoop: {
            "_make_self_pipe": _make_self_pipe,
            "_close_self_pipe": _close_self_pipe,
            "_write_to_self": _write_to_self,
        },
        asyncio.SelectorEventLoop: {
            "add_signal_handler": _no_signals,
            "remove_signal_handler": _no_signals,
        },
    }.items():
        for name, method in methods.items():
            setattr(base, name, method)
    asyncio.set_event_loop_policy(Policy())


def settle(result: Any) -> Any:
    """The result itself or, if it is awaitable, the result of awaiting it.

    # Errors

    Whatever the awaitable raises. TypeError for generators: a handler that
    yields has no result.
    """
    if isinstance(result, types.CoroutineType):
        loop = _current_loop()
        if isinstance(loop, EventLoop):
            return loop.run_coroutine(result)
        return loop.run_until_complete(result)
    if asyncio.isfuture(result):
        return result.get_loop().run_until_complete(result)
    if isawaitable(result):
        return _current_loop().run_until_complete(result)
    if isinstance(result, (types.GeneratorType, types.AsyncGeneratorType)):
        raise TypeError(
            f"the handler returned {_a_generator(result)} ({result.__qualname__}); "
            "it must return its result, not yield it"
        )
    return result


def recover() -> None:
    """Stop a loop that a call has left running. Never fails.

    Nothing runs between calls, and next to a running loop no other can run: the
    next call could not await.
    """
    running = events._get_running_loop()
    if running is None:
        return
    try:
        if _CAN_START_AT_ONCE and running.is_running():
            running._run_forever_cleanup()  # type: ignore[attr-defined]
    except BaseException:
        # The function may have created the loop.
        pass
    events._set_running_loop(None)


def report_failures() -> None:
    """Log exceptions of tasks that were never retrieved. Never fails.

    asyncio itself does so when a task is destroyed: too late for the log of the
    call, and never for a task that the function keeps.
    """
    if not _all_tasks:
        return
    try:
        for task in list(_all_tasks):
            if task.done() and task._log_traceback:
                message = "Task exception was never retrieved"
                context = {"message": message, "exception": task.exception(), "future": task}
                task.get_loop().call_exception_handler(context)
    except BaseException:
        # The function may have created tasks, loops and their handlers.
        pass


def busy() -> bool:
    """Whether something in any loop waits for its turn or a point in time."""
    return any(
        loop._ready or loop._scheduled  # type: ignore[attr-defined]
        for loop in _loops
        if not loop.is_closed()
    )


def _current_loop() -> asyncio.AbstractEventLoop:
    # The function's own, if it has set one: what it connected while it was
    # imported is bound to that loop.
    return events.get_event_loop_policy().get_event_loop()


def _a_generator(result: types.GeneratorType | types.AsyncGeneratorType) -> str:
    if isinstance(result, types.AsyncGeneratorType):
        return "an async generator"
    return "a generator"
