"""From an exception to the function error that the caller gets, and to the log.

This code runs after a function has failed, maybe for lack of memory or stack, and
with objects that the function created: each step has a smaller one to fall back
on.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from json import dumps
from traceback import FrameSummary, StackSummary, TracebackException
from types import TracebackType

from vivarium import _logs

MESSAGE_LIMIT = 64 * 1024
"""Characters of an error message; the rest is cut."""

FRAME_LIMIT = 100
"""Frames of a stack trace: the outermost and the innermost half of it."""

LOG_LIMIT = 64 * 1024
"""Characters of a traceback in the log: its first and its last half."""

_HALF = FRAME_LIMIT // 2

# Extracting frames costs memory; beyond this depth only both ends are examined.
_DEEP = 2000

_runtime = os.path.dirname(os.path.dirname(__file__))
_caller = os.path.join(_runtime, "runtime.py")

# Files of the frames between the runner's call and the function's code.
_plumbing = tuple(
    os.path.dirname(path) + os.sep
    for path in (_caller, asyncio.__file__, json.__file__, importlib.__file__)
) + ("<frozen importlib",)

# Files of frames that are never part of a function.
_importing = (_runtime + os.sep, "<frozen importlib")

# The memory that reporting a MemoryError needs, released while it is reported.
_RESERVE_BYTES = 256 * 1024
_reserve: bytearray | None = None

_LAST_RESORT = dumps({"errorMessage": "", "errorType": "MemoryError", "stackTrace": []}).encode()


def report(
    error: BaseException,
    traced: bool = True,
    write: Callable[[str], None] = _logs.write_entry,
) -> bytes:
    """Write the exception being handled to the log; return the error's JSON text.

    traced: whether the frames it passed through are relevant. Never fails.
    """
    if issubclass(type(error), MemoryError):
        _make_room(error)
    if _is_lost_memory_error(error):
        error = MemoryError().with_traceback(error.__traceback__)
    try:
        place = ""
        trace = _stack_trace(sys.exc_info()[2] if traced else None)
        if issubclass(type(error), SyntaxError):
            # The place that does not parse is not a frame, but it is what matters.
            place = _syntax_error_place(error)
            if place:
                trace.append(place)
        answer = _document(_name(error), _message(error, MESSAGE_LIMIT), trace)
    except BaseException:
        trace, place, answer = [], "", _brief(error)
    try:
        write(_text(error, trace[:-1] if place else trace))
    except BaseException:
        try:
            write(answer.decode())
        except BaseException:
            # The log is full or closed, or memory is used up.
            pass
    keep_reserve()
    return answer


def keep_reserve() -> bool:
    """Take the memory that reporting a MemoryError will need, if there is any.

    Not at boot: what is created then is immortal, and would never be freed.
    """
    global _reserve
    if _reserve is None:
        try:
            _reserve = bytearray(_RESERVE_BYTES)
        except MemoryError:
            # The function holds all of the memory.
            return False
    return True


def _is_lost_memory_error(error: BaseException) -> bool:
    # A frame that an exception leaves needs a frame object for its caller. With
    # too little memory even for that, CPython 3.13 drops the exception, and the
    # caller finds none.
    return type(error) is SystemError and error.args == (
        "error return without exception set",
    )


def _make_room(error: BaseException) -> None:
    """Release what the failed call held."""
    global _reserve
    _reserve = None
    seen: list[BaseException] = []
    try:
        link: BaseException | None = error
        while link is not None and not any(link is one for one in seen):
            seen.append(link)
            traceback.clear_frames(link.__traceback__)
            link = link.__cause__ or link.__context__
        # A failed task, its coroutine and its exception refer to each other.
        gc.collect()
    except BaseException:
        # An exception with attributes, or objects with finalizers, of their own.
        pass


def _brief(error: BaseException) -> bytes:
    """The function error without frames, if describing it failed."""
    try:
        # The function may have left the limit where nothing can run.
        sys.setrecursionlimit(max(1000, sys.getrecursionlimit()))
        return _document(_name(error), _message(error, 1024), [])
    except BaseException:
        return _LAST_RESORT


def _document(kind: str, message: str, trace: list[str]) -> bytes:
    return dumps(
        {"errorMessage": message, "errorType": kind, "stackTrace": trace}
    ).encode()


def _name(error: BaseException) -> str:
    try:
        name = type(error).__name__
    except BaseException:
        name = None
    return name if type(name) is str else "Exception"


def _message(error: BaseException, limit: int) -> str:
    try:
        if issubclass(type(error), SystemExit):
            text = _exit_message(error)
        else:
            text = str(error)
        # Not text[:limit]: text may be of a subclass that overrides that.
        return str.__getitem__(text, slice(0, limit))
    except MemoryError:
        raise
    except BaseException:
        return "<exception str() failed>"


def _exit_message(error: BaseException) -> str:
    code = error.code  # type: ignore[attr-defined]
    if code is None:
        code = 0
    if isinstance(code, int):
        return f"the function ended its process with exit code {int(code)}"
    return f"the function ended its process with exit code 1: {code}"


def _stack_trace(tb: TracebackType | None) -> list[str]:
    """One text for each frame, outermost first, without the runner's internals."""
    depth = _depth(tb)
    if depth > _DEEP:
        outer = _trim(traceback.extract_tb(tb, limit=FRAME_LIMIT)).format()[:_HALF]
        inner = _Stack(_of_users(traceback.extract_tb(tb, limit=-_HALF))).format()
        return [*outer, _left_out(depth - FRAME_LIMIT), *inner]
    trace = _trim(traceback.extract_tb(tb)).format()
    if len(trace) > FRAME_LIMIT:
        trace[_HALF:-_HALF] = [_left_out(len(trace) - FRAME_LIMIT)]
    return trace


def _left_out(count: int) -> str:
    return f"  [{count} more frames]\n"


def _depth(tb: TracebackType | None) -> int:
    depth = 0
    while tb is not None:
        depth += 1
        tb = tb.tb_next
    return depth


class _Stack(StackSummary):
    """A stack that formats identical frames only once.

    To mark a part of a line, its code is parsed. A deep recursion would do that for
    each of its frames: a second of CPU time.
    """

    def __init__(self, frames: list[FrameSummary]) -> None:
        super().__init__(frames)
        self._known: dict[object, str] = {}

    def format_frame_summary(self, frame_summary: FrameSummary, **options: object) -> str:
        f = frame_summary
        key = (f.filename, f.name, f.lineno, f.end_lineno, f.colno, f.end_colno)
        known = self._known
        if key not in known:
            known[key] = super().format_frame_summary(f, **options)  # type: ignore[arg-type]
        return known[key]


def _trim(stack: list[FrameSummary]) -> StackSummary:
    """The stack without the runner's own frames, except that of the call."""
    head: list[FrameSummary] = []
    start = 0
    for start, frame in enumerate([*stack, None]):
        if frame is None or not frame.filename.startswith(_plumbing):
            break
        if frame.filename == _caller:
            head = [frame]
    return _Stack([*head, *_of_users(stack[start:])])


def _of_users(stack: list[FrameSummary]) -> list[FrameSummary]:
    """The frames that are neither the importer's nor the runner's."""
    return [f for f in stack if not f.filename.startswith(_importing)]


def _chain(summary: TracebackException) -> Iterator[TracebackException]:
    """The exceptions that are reported with another one."""
    seen: set[int] = set()
    ahead: list[TracebackException | None] = [summary]
    while ahead:
        link = ahead.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            ahead += [link.__cause__, link.__context__, *(getattr(link, "exceptions", None) or [])]


def _syntax_error_place(error: BaseException) -> str:
    summary = TracebackException(type(error), error, None, compact=True)
    return "".join(list(summary.format_exception_only())[:-1])


class _Formatted(list):
    """A stack that is text already, for TracebackException.format."""

    def format(self, **options: object) -> list[str]:
        return list(self)


def _text(error: BaseException, trace: list[str]) -> str:
    """The exception, with all that are chained to it."""
    summary = TracebackException(
        type(error), error, None, limit=-FRAME_LIMIT, compact=True
    )
    for link in _chain(summary):
        link.stack = _Stack(_of_users(link.stack))
    summary.stack = _Formatted(trace)  # type: ignore[assignment]
    text = "".join(summary.format())
    if len(text) > LOG_LIMIT:
        half = LOG_LIMIT // 2
        text = f"{text[:half]}\n[{len(text) - LOG_LIMIT} more characters]\n{text[-half:]}"
    return text
