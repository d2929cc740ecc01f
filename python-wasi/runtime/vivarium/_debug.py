"""Debugging a handler: by pdb in a terminal, or by an editor.

An instance of a function that is debugged finds its debugger at an address of the
host's, which passes what is said there on to a terminal, or to whoever speaks the
debug adapter protocol (DAP). Nothing here is imported otherwise.

Each thread of the function is traced. The one that stops answers the debugger; the
others stand still at the next line of the function's own that they come to. While the
function runs, requests are looked for between lines.
"""

from __future__ import annotations

import bdb
import inspect
import json
import os
import pdb
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic as _clock
from time import time as _wall_clock
from types import CodeType, FrameType, TracebackType
from typing import Any

from vivarium import _context

ADDRESS = ("169.254.169.253", 5678)
"""Where the host answers as the debugger."""

HOLD_ADDRESS = ("169.254.169.253", 5679)
"""While something is connected there, time stands still for the call's deadline."""

CODE = "/function/code"

# Modules whose frames are not the function's.
_SKIPPED = ["vivarium", "vivarium.*", "runtime", "importlib._bootstrap*", "asyncio", "asyncio.*", "bdb", "pdb"]

# How often requests are looked for while the function runs, in seconds.
_INTERVAL = 0.05

# Bytes before a message.
_HEAD_LIMIT = 100

# What is shown of one value: characters, and members.
_TEXT_LIMIT = 1000
_MEMBER_LIMIT = 1000


def wrap(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler that is debugged as VIVARIUM_DEBUG says."""

    def debugged(event: Any, context: Any) -> Any:
        _holding.call = context
        debugger = _debugger()
        debugger.begin()
        with _Watched(debugger):
            result = handler(event, context)
        return _settled(debugger, result) if inspect.iscoroutine(result) else result

    sys.breakpointhook = _stop
    return debugged


async def _settled(debugger: Any, result: Any) -> Any:
    debugger.begin()
    with _Watched(debugger):
        return await result


_alone = threading.RLock()
"""Who has it talks to the debugger."""


def _wait() -> None:
    """Stand still while another thread does."""
    with _alone:
        pass


class _Holding:
    """A context in which time stands still for the call's deadline, for one thread at once."""

    def __init__(self) -> None:
        self.call: Any = None  # the context of the call
        self._connection: socket.socket | None = None  # to HOLD_ADDRESS
        self._entered = 0

    def __enter__(self) -> None:
        _alone.acquire()
        self._entered += 1
        if self._entered > 1:
            return
        try:
            self._connection = socket.create_connection(HOLD_ADDRESS)
        except OSError:  # the function has used up what there is
            return
        _context.standing_since = _wall_clock()

    def __exit__(self, *error: Any) -> None:
        self._entered -= 1
        if self._entered == 0 and self._connection is not None:
            stood, _context.standing_since = _wall_clock() - _context.standing_since, None
            if self.call is not None:
                self.call.deadline_ms += round(stood * 1000)
            self._connection.close()
            self._connection = None
        _alone.release()


_holding = _Holding()


class _Watched:
    """A context whose exceptions the debugger sees before they are reported."""

    def __init__(self, debugger: Any) -> None:
        self._debugger = debugger

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.settrace(None)
        _wait()  # else the call would end under a thread that stands still
        if error is not None and not isinstance(error, (bdb.BdbQuit, SystemExit)):
            self._debugger.failed(error)


def _stop(*args: Any, **kwargs: Any) -> None:
    """What breakpoint() does, whatever it is given for another debugger."""
    if _the_debugger is None or not _the_debugger.gone:  # who has left comes back with the next call
        _debugger().stop_at(sys._getframe(1))


_the_debugger: Any = None


def _debugger() -> Any:
    global _the_debugger
    if _the_debugger is None or _the_debugger.gone:
        connection = socket.create_connection(ADDRESS)
        kind = _Editor if os.environ.get("VIVARIUM_DEBUG") == "dap" else _Terminals
        _the_debugger = kind(connection)
    return _the_debugger


class _Terminals:
    """pdb at a terminal of the host's, which each thread has of its own."""

    gone = False

    def __init__(self, connection: socket.socket) -> None:
        self._text = connection.makefile("rw", encoding="utf-8", errors="replace")
        self._local = threading.local()

    def begin(self) -> None:
        pass

    def _own(self) -> _Terminal:
        if not hasattr(self._local, "terminal"):
            self._local.terminal = _Terminal(self._text)
        return self._local.terminal

    def stop_at(self, frame: FrameType) -> None:
        self._own().set_trace(frame)

    def failed(self, error: BaseException) -> None:
        self._own().failed(error)


class _Terminal(pdb.Pdb):
    """pdb in one thread."""

    def __init__(self, text: Any) -> None:
        super().__init__(stdin=text, stdout=text, skip=_SKIPPED, nosigint=True, readrc=False)
        self.use_rawinput = False
        if threading.current_thread() is not threading.main_thread():
            self.prompt = f"(Pdb {threading.current_thread().name}) "

    def get_stack(self, f: FrameType | None, t: TracebackType | None) -> tuple[list[tuple[FrameType, int]], int]:
        """The function's own frames alone."""
        stack, at = super().get_stack(f, t)
        own = [entry for entry in stack if _is_own(entry[0].f_code)] or stack
        return own, own.index(stack[at]) if stack and stack[at] in own else max(len(own) - 1, 0)

    def interaction(self, frame: FrameType | None, tb_or_exc: Any) -> None:
        with _holding:
            super().interaction(frame, tb_or_exc)

    def failed(self, error: BaseException) -> None:
        self.message(_described(error))
        self.message("Post-mortem: where the exception was raised; c or q goes on.")
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None and not _is_own(trace.tb_frame.f_code):
            trace = trace.tb_next
        self.reset()
        self.interaction(None, trace)


def _is_own(code: CodeType) -> bool:
    """Whether code is the function's."""
    return code.co_filename.startswith(CODE + "/")


class _Tracer(bdb.Bdb):
    """Traces one thread for a debug adapter."""

    def __init__(self, editor: _Editor) -> None:
        super().__init__(skip=_SKIPPED)
        self._editor = editor
        self.breaks = editor.breaks
        self._waits = False  # at a line, for another thread
        self._passes = False  # that line: it is where a step begins

    def start(self) -> None:
        """Trace what the calling thread runs from here on."""
        self.reset()
        self.botframe = sys._getframe()  # which is nobody's that could stop
        self.go_on()
        sys.settrace(self.trace_dispatch)

    def go_on(self) -> None:
        # Not set_continue, which ends the tracing when there is no breakpoint.
        self._set_stopinfo(self.botframe, None, -1)

    def begin_step(self) -> None:
        """Note that the thread is to make a step, which was given while another one stopped."""
        self._passes = self._waits

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not _is_own(frame.f_code):
            return None
        editor = self._editor
        self._waits = event == "line"
        _wait()
        self._waits = False
        if self._passes:
            self._passes = False
            return self.trace_dispatch
        editor.look(_INTERVAL)
        if editor.gone:
            return None
        if editor.is_pausing():
            editor.stop(self, _stack_of(frame), "pause")
        return super().trace_dispatch(frame, event, arg)

    def break_anywhere(self, frame: FrameType) -> bool:
        return True  # so that a loop without breakpoints can be paused

    def user_line(self, frame: FrameType) -> None:
        place = (self.canonic(frame.f_code.co_filename), frame.f_lineno)
        message = self._editor.log_point(place)
        if message and not self.stop_here(frame):
            self._editor.log(message, frame)
            return
        at_breakpoint = place[1] in self.breaks.get(place[0], ())
        self._editor.stop(self, _stack_of(frame), "breakpoint" if at_breakpoint else "step")

    def user_return(self, frame: FrameType, return_value: Any) -> None:
        pass  # the next line of the caller is where a step ends

    def user_exception(self, frame: FrameType, exc_info: Any) -> None:
        kind, error, trace = exc_info
        first = trace is None or trace.tb_next is None  # not on its way through
        if first and kind not in (StopIteration, GeneratorExit):
            self._editor.stop(self, _stack_of(frame), "exception", _described(error))

    def stop_here(self, frame: FrameType) -> bool:
        return _is_own(frame.f_code) and super().stop_here(frame)

    def dispatch_exception(self, frame: FrameType, arg: Any) -> Any:
        if self._editor.wants("raised"):
            self.user_exception(frame, arg)
        return self.trace_dispatch


class _Editor:
    """A debug adapter: the other side speaks DAP.

    A thread that stops is in _holding while it talks. All other methods are called with
    _alone, or by a thread that the others wait for.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._sequence = 0
        self._looked = 0.0
        self._ready = False  # the editor has said where to stop
        self._filters: list[str] = []
        self._roots = [(os.environ.get("VIVARIUM_DEBUG_ROOT", CODE), CODE)]
        self._logs: dict[tuple[str, int], str] = {}
        self._book = bdb.Bdb()  # of breakpoints, for all threads
        self.breaks = self._book.breaks
        self._local = threading.local()
        self._tracers: dict[int, _Tracer] = {}  # by the threads' idents
        self._stopped: int | None = None  # the ident of the thread that stopped
        self._stacks: dict[int, list[int]] = {}  # what was shown of it: numbers of frames, by ident
        self._frames: list[tuple[FrameType, int]] = []
        self._references: list[Any] = []
        self._pausing = False
        self.gone = False

    # The threads' side.

    def begin(self) -> None:
        """Take requests until the editor is ready; trace from here on."""
        sys.settrace(None)  # else this module would be traced too
        if not self._ready:
            with _holding:
                while not self._ready and not self.gone:
                    self._take(None)
        self.look(0)
        if self.gone:
            return
        if not self._tracers:
            threading.settrace_all_threads(self._trace)
            threading.excepthook = self._failed_thread
        self._tracer().start()

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Begin to trace a thread."""
        if self.gone:
            sys.settrace(None)
            return None
        sys.settrace(None)
        tracer = self._tracer()
        tracer.start()
        return tracer.trace_dispatch(frame, event, arg)

    def _tracer(self) -> _Tracer:
        if not hasattr(self._local, "tracer"):
            self._local.tracer = _Tracer(self)
            alive = sys._current_frames()
            self._tracers = {ident: tracer for ident, tracer in self._tracers.items() if ident in alive}
            self._tracers[threading.get_ident()] = self._local.tracer
        return self._local.tracer

    def stop_at(self, frame: FrameType) -> None:
        self.begin()
        if self.gone:
            return
        sys.settrace(None)
        self.stop(self._tracer(), _stack_of(frame), "breakpoint")
        if not self.gone:
            sys.settrace(self._tracer().trace_dispatch)

    def failed(self, error: BaseException) -> None:
        if self.gone or "uncaught" not in self._filters:
            return
        frames = []
        trace = error.__traceback__
        while trace is not None:
            if _is_own(trace.tb_frame.f_code):
                frames.append((trace.tb_frame, trace.tb_lineno))
            trace = trace.tb_next
        if frames:
            self.stop(self._tracer(), frames[::-1], "exception", _described(error))

    def _failed_thread(self, args: Any) -> None:
        """What threading does with an exception that nothing in a thread catches."""
        sys.settrace(None)
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            self.failed(args.exc_value)
        threading.__excepthook__(args)

    def wants(self, filter: str) -> bool:
        return filter in self._filters

    def is_pausing(self) -> bool:
        pausing, self._pausing = self._pausing, False
        return pausing

    def log_point(self, place: tuple[str, int]) -> str | None:
        return self._logs.get(place)

    def log(self, message: str, frame: FrameType) -> None:
        with _alone:
            self._send_event("output", {"category": "console", "output": self._log_text(message, frame) + "\n"})

    # The editor's side.

    def stop(self, tracer: _Tracer, frames: list[tuple[FrameType, int]], reason: str, text: str = "") -> None:
        """Answer the editor until it lets the function go on."""
        with _holding:
            if self.gone:
                return
            ident = threading.get_ident()
            self._stopped = ident
            self._show(ident, frames)
            body = {"reason": reason, "threadId": _number(ident), "allThreadsStopped": True}
            if text:
                body |= {"text": text[:_TEXT_LIMIT], "description": text[:_TEXT_LIMIT]}
            self._send_event("stopped", body)
            while self._stopped is not None and not self.gone:
                self._take(None)
            self._stopped = None
            self._frames, self._stacks, self._references = [], {}, []

    def _show(self, ident: int, frames: list[tuple[FrameType, int]]) -> None:
        """Give the frames of a thread numbers."""
        first = len(self._frames) + 1
        self._frames += frames
        self._stacks[ident] = list(range(first, first + len(frames)))

    def look(self, interval: float) -> None:
        """Take the requests that are there, unless that was done so many seconds ago."""
        if _clock() - self._looked <= interval:
            return
        with _alone:
            self._looked = _clock()
            while not self.gone and self._take(0):
                pass

    def _take(self, timeout: float | None) -> bool:
        """Take one request, and report whether there was one in time."""
        message = self._receive(timeout)
        if message is None:
            return False
        command, number = message.get("command"), message.get("seq")
        handle = getattr(self, f"_on_{command}", None)
        # Of the request only what surely can be sent back.
        answer = {"type": "response", "request_seq": number if isinstance(number, int) else 0, "command": str(command)[:_TEXT_LIMIT]}
        after: Callable[[], None] | None = None
        try:
            if handle is None:
                raise ValueError(f"{command}: not supported")
            body, after = handle(message.get("arguments") or {})
            answer |= {"success": True, "body": body}
        except (Exception, SystemExit) as error:  # what is evaluated may say exit()
            answer |= {"success": False, "message": _described(error)}
        self._send(answer)
        if after is not None:
            after()
        return True

    def _receive(self, timeout: float | None) -> dict[str, Any] | None:
        while True:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if found or len(head) > _HEAD_LIMIT:
                # Nothing else: a page in a browser can send requests of HTTP, which say more.
                match = re.fullmatch(rb"(?i)content-length: *([0-9]{1,6})", head)
                if match is None:
                    self._leave()
                    return None
                size = int(match[1])
                if len(rest) >= size:
                    self._received = rest[size:]
                    message = _decoded(rest[:size])
                    if message is None:
                        self._leave()
                    return message
            try:
                self._connection.settimeout(timeout)
                part = self._connection.recv(65536)
            except (BlockingIOError, TimeoutError):
                return None
            except OSError:
                part = b""
            if not part:
                self._leave()
                return None
            self._received += part

    def _send(self, message: dict[str, Any]) -> None:
        self._sequence += 1
        text = json.dumps(message | {"seq": self._sequence}).encode()
        try:
            self._connection.settimeout(None)
            self._connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        except OSError:
            self._leave()

    def _send_event(self, event: str, body: dict[str, Any]) -> None:
        self._send({"type": "event", "event": event, "body": body})

    def _leave(self) -> None:
        """The editor is gone: let the function run."""
        self.gone = True
        for path in list(self.breaks):
            self._book.clear_all_file_breaks(path)
        threading.settrace_all_threads(None)
        threading.excepthook = threading.__excepthook__
        self._connection.close()

    # Requests. Each returns the body of its response, and what is done afterwards.

    def _on_initialize(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        capabilities = {
            "supportsConfigurationDoneRequest": True,
            "supportsConditionalBreakpoints": True,
            "supportsLogPoints": True,
            "supportsEvaluateForHovers": True,
            "supportsSetVariable": True,
            "exceptionBreakpointFilters": [
                {"filter": "uncaught", "label": "Uncaught Exceptions", "default": True},
                {"filter": "raised", "label": "Raised Exceptions", "default": False},
            ],
        }
        return capabilities, None

    def _on_attach(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        for mapping in arguments.get("pathMappings") or []:
            self._roots.insert(0, (mapping["localRoot"].rstrip("/\\"), mapping["remoteRoot"].rstrip("/")))
        return {}, lambda: self._send_event("initialized", {})

    _on_launch = _on_attach

    def _on_setBreakpoints(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        path = self._inside(arguments["source"]["path"])
        self._book.clear_all_file_breaks(path)
        for place in [place for place in self._logs if place[0] == path]:
            del self._logs[place]
        wanted = arguments.get("breakpoints") or [{"line": n} for n in arguments.get("lines") or []]
        lines = _lines_with_code(path)
        made = []
        for one in wanted:
            line = next((n for n in lines if n >= one["line"]), None)
            why = f"{path} has no code there" if line is None else self._book.set_break(path, line, cond=one.get("condition"))
            if line is None or why:
                made.append({"verified": False, "line": one["line"], "message": why})
                continue
            if one.get("logMessage"):
                self._logs[path, line] = one["logMessage"]
            made.append({"verified": True, "line": line})
        return {"breakpoints": made}, None

    def _on_setExceptionBreakpoints(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        self._filters = arguments.get("filters") or []
        return {}, None

    def _on_configurationDone(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        self._ready = True
        return {}, None

    def _on_threads(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        alive = sys._current_frames()
        return {
            "threads": [
                {"id": _number(thread.ident), "name": "handler" if thread is threading.main_thread() else thread.name}
                for thread in threading.enumerate()
                if thread.ident in alive
            ]
        }, None

    def _on_stackTrace(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        shown = self._stack(arguments.get("threadId"))
        first = arguments.get("startFrame") or 0
        count = arguments.get("levels") or len(shown)
        frames = [
            {
                "id": n,
                "name": frame.f_code.co_qualname,
                "source": {"name": os.path.basename(frame.f_code.co_filename), "path": self._outside(frame.f_code.co_filename)},
                "line": line,
                "column": 1,
            }
            for n in shown
            for frame, line in [self._frames[n - 1]]
        ]
        return {"stackFrames": frames[first : first + count], "totalFrames": len(frames)}, None

    def _on_scopes(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        frame = self._frame(arguments["frameId"])
        scopes = [{"name": "Locals", "variablesReference": self._reference(_Scope(frame, frame.f_locals)), "expensive": False}]
        if frame.f_locals is not frame.f_globals:
            scope = _Scope(frame, frame.f_globals)
            scopes.append({"name": "Globals", "variablesReference": self._reference(scope), "expensive": True})
        return {"scopes": scopes}, None

    def _on_variables(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        holder = self._references[arguments["variablesReference"] - 1]
        first, count = arguments.get("start") or 0, arguments.get("count") or _MEMBER_LIMIT
        members = []
        for n, (name, value) in enumerate(_members(holder)):
            if n >= first + min(count, _MEMBER_LIMIT):
                break
            if n >= first:
                members.append({"name": name} | self._shown(value, "value"))
        return {"variables": members}, None

    def _on_setVariable(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        holder = self._references[arguments["variablesReference"] - 1]
        if not isinstance(holder, _Scope):
            raise ValueError("only variables can be set")
        value = eval(arguments["value"], holder.frame.f_globals, holder.frame.f_locals)
        holder.names[arguments["name"]] = value
        return self._shown(value, "value"), None

    def _on_evaluate(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        frame = self._frame(arguments.get("frameId") or self._stack(None)[0])
        text = arguments["expression"]
        try:
            code = compile(text, "<expression>", "eval")
        except SyntaxError:
            if arguments.get("context") != "repl":
                raise
            exec(compile(text, "<statement>", "exec"), frame.f_globals, frame.f_locals)
            return {"result": "", "variablesReference": 0}, None
        return self._shown(eval(code, frame.f_globals, frame.f_locals), "result"), None

    def _on_continue(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        return self._resumed(arguments, lambda tracer, frame: tracer.go_on())

    def _on_next(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        return self._resumed(arguments, lambda tracer, frame: tracer.set_next(frame))

    def _on_stepIn(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        return self._resumed(arguments, lambda tracer, frame: tracer.set_step())

    def _on_stepOut(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        return self._resumed(arguments, lambda tracer, frame: tracer.set_return(frame))

    def _on_pause(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        self._pausing = self._stopped is None
        return {}, None

    def _on_disconnect(self, arguments: dict[str, Any]) -> tuple[Any, Any]:
        return {}, self._leave

    def _resumed(self, arguments: dict[str, Any], step: Callable[[_Tracer, FrameType], None]) -> tuple[Any, Any]:
        """Let all threads go on, one of them for a step."""
        ident = self._ident(arguments.get("threadId"))
        shown, tracer = self._stack(arguments.get("threadId")), self._tracers.get(ident)
        if tracer is None or not shown:
            raise ValueError("this thread is not traced: threading has not started it, or it runs nothing of the function's own")
        for other in self._tracers.values():
            other.go_on()
        step(tracer, self._frames[shown[0] - 1][0])
        if ident != self._stopped:
            tracer.begin_step()
        # A frame that ran when the tracing began has no trace function of its own.
        for n in shown:
            self._frames[n - 1][0].f_trace = tracer.trace_dispatch
        self._stopped = None
        return {"allThreadsContinued": True}, None

    # What is shown.

    def _ident(self, number: int | None) -> int:
        """The ident of the thread that the editor knows by a number; by none, of the one that stopped."""
        if self._stopped is None:
            raise ValueError("the function is running")
        if not number:
            return self._stopped
        for thread in threading.enumerate():
            if thread.ident is not None and _number(thread.ident) == number:
                return thread.ident
        raise ValueError(f"there is no thread {number}")

    def _stack(self, number: int | None) -> list[int]:
        """The numbers of a thread's frames, innermost first."""
        ident = self._ident(number)
        if ident not in self._stacks:
            self._show(ident, _stack_of(sys._current_frames().get(ident)))
        return self._stacks[ident]

    def _frame(self, identity: int) -> FrameType:
        if not 0 < identity <= len(self._frames):
            raise ValueError("there is no such frame; the function is running")
        return self._frames[identity - 1][0]

    def _reference(self, holder: Any) -> int:
        self._references.append(holder)
        return len(self._references)

    def _shown(self, value: Any, key: str) -> dict[str, Any]:
        try:
            text = repr(value)
        except Exception as error:
            text = f"<repr: {_described(error)}>"
        if len(text) > _TEXT_LIMIT:
            text = text[:_TEXT_LIMIT] + " …"
        has_members = next(_members(value), None) is not None
        return {
            key: text,
            "type": type(value).__name__,
            "variablesReference": self._reference(value) if has_members else 0,
        }

    def _log_text(self, message: str, frame: FrameType) -> str:
        """Fill what is in braces in a log message."""
        filled, rest = "", message
        while rest:
            text, found, rest = rest.partition("{")
            filled += text
            if found:
                expression, _, rest = rest.partition("}")
                try:
                    filled += str(eval(expression, frame.f_globals, frame.f_locals))
                except Exception as error:
                    filled += f"<{_described(error)}>"
        return filled[:_TEXT_LIMIT]

    def _inside(self, path: str) -> str:
        """The function's path of an editor's file."""
        path = path.replace("\\", "/")
        for local, remote in self._roots:
            local = local.replace("\\", "/")
            if path == local or path.startswith(local + "/"):
                return remote + path[len(local) :]
        return path

    def _outside(self, path: str) -> str:
        for local, remote in self._roots:
            if path.startswith(remote + "/"):
                return local + path[len(remote) :]
        return path


class _Scope:
    """The variables of a frame."""

    def __init__(self, frame: FrameType, names: Any) -> None:
        self.frame, self.names = frame, names


def _decoded(text: bytes) -> dict[str, Any] | None:
    """A message; nothing if it is none, for which the function is not to blame."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return None
    return message if isinstance(message, dict) else None


def _described(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # it is the function's
        text = "<str() of it fails>"
    return f"{type(error).__name__}: {text}"[:_TEXT_LIMIT]


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, as an editor unfolds it."""
    if isinstance(value, _Scope):
        yield from ((name, one) for name, one in value.names.items() if not name.startswith("__"))
    elif isinstance(value, dict):
        yield from ((repr(key)[:_TEXT_LIMIT], one) for key, one in list(value.items()))
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{n}]", one) for n, one in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from ((f"[{n}]", one) for n, one in enumerate(list(value)))
    elif not isinstance(value, (type, type(sys))):
        yield from list(getattr(value, "__dict__", {}).items())


def _stack_of(frame: FrameType | None) -> list[tuple[FrameType, int]]:
    """The function's own frames, innermost first."""
    frames = []
    while frame is not None:
        if _is_own(frame.f_code):
            frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return frames


def _number(ident: int | None) -> int:
    """What the editor calls a thread. The handler's is 1."""
    return 1 if ident == threading.main_thread().ident else ident or 0


def _lines_with_code(path: str) -> list[int]:
    """The lines of a file at which one can stop."""
    try:
        with open(path, "rb") as file:
            codes = [compile(file.read(), path, "exec")]
    except (OSError, SyntaxError, ValueError):
        return []
    lines: set[int] = set()
    while codes:
        code = codes.pop()
        lines.update(line for _, _, line in code.co_lines() if line)
        codes.extend(one for one in code.co_consts if isinstance(one, CodeType))
    return sorted(lines)
