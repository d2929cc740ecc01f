"""The runner: what the guest's exports call once the interpreter is up.

Importing this module is the boot. load() imports the user's module and finds
the handler; invoke() calls it, once for each invocation. Both read a JSON
document and pass their response to the host through _vivarium.respond, exactly
once; both return 0 if the instance may serve further calls, 1 if it must be
thrown away, and 2 if it may serve further calls and is to be told before it ends.

Every stack trace that callers see names this file, and handle_event.
"""

from __future__ import annotations

import sys

# CPython's own. Everything imported after it may be replaced by a function.
_startup_modules = frozenset(sys.modules) - {__name__}

import vivarium._files  # noqa: E402, F401  isort: skip
import vivarium._platform  # noqa: E402, F401  isort: skip
import vivarium._preload  # noqa: E402, F401  isort: skip
import binascii  # noqa: E402
import builtins  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402
from _signal import SIGINT, SIGTERM, default_int_handler, getsignal, raise_signal  # noqa: E402
from _sitebuiltins import Quitter, _Helper, _Printer  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextvars import copy_context  # noqa: E402
from importlib.machinery import PathFinder  # noqa: E402
from json import JSONEncoder, loads  # noqa: E402
from typing import Any  # noqa: E402

import snapshot_restore_py  # noqa: E402, F401
import _vivarium  # noqa: E402
from _vivarium import immortalize_definitions, respond  # noqa: E402
from vivarium import _ahead, _entrypoint, _errors, _logs, _loop, _packages, _snapshot  # noqa: E402
from vivarium._context import Context  # noqa: E402

CODE = "/function/code"
"""The folder with the function's files: working directory, first on sys.path."""

RUNTIME = os.path.dirname(__file__)
"""The folder of this file."""

# Kinds of responses, and what an export returns.
JSON, RAW, ERROR = 0, 1, 2
KEEP, DISCARD, TELL = 0, 1, 2

# CPython rewrites bytecode that has run a handful of times.
_REHEARSALS = 16

# Results that can't be awaitable. Exact types only.
_plain = frozenset((dict, str, list, bytes, int, float, bool, type(None)))

# NaN and Infinity, which json.dumps writes, are not valid JSON.
dumps = JSONEncoder(allow_nan=False).encode

_library = [path for path in sys.path if path not in (CODE, RUNTIME)]

# snapshot_restore_py: functions may include AWS's package of that name, but hooks
# registered with it would never run.
_irreplaceable = _startup_modules | {"snapshot_restore_py"}

_handler: Callable[..., Any] | None = None

# The process is set up already: this instance is a clone of a prepared one.
_prepared = False

# Why there is no handler: the response to every invocation of the instance.
_load_error: bytes = b""


def load(request: bytes) -> int:
    """Import the function. Responds with the reasons not to freeze it.

    The request: {"entrypoint", "environment", "structured_logging"} and, when
    the host intends to freeze the loaded instance, "freeze": true. Then the
    random generators stay as the boot seeded them, which the clones make up
    for (see invoke), and the hooks of register_before_snapshot run. The
    response then has "sources": the files that were imported.

    With "prepare", a list of such files, the function is not imported, but
    everything is done that all instances would do alike before importing it.
    """
    global _handler, _load_error, _prepared
    status = KEEP
    freeze = False
    _errors.keep_reserve()
    try:
        demand = loads(request)
        if _prepared:  # secrets came only now
            _add_to_environment(demand["environment"])
        else:
            prepare(demand["environment"])
        if "prepare" in demand:
            module = demand["entrypoint"].rpartition(".")[0]
            _ahead.compile_all(demand["prepare"] or [_entry_file(module)])
            # Lists the folder, which each import would look at.
            PathFinder.find_spec(module.partition(".")[0], sys.path)
            found: dict[str, Any] = {"impure": []}
            _prepared = freeze = True
        else:
            freeze = demand.get("freeze", False)
            if freeze:
                before = _snapshot.watch(_vivarium.seed)
            else:
                reseed()
            _handler = _entrypoint.find_handler(demand["entrypoint"])
            if "VIVARIUM_DEBUG" in demand["environment"]:
                from vivarium import _debug

                _handler = _debug.wrap(_handler)
            found = _prepare_to_freeze(before) if freeze else {"impure": []}
        kind, answer = JSON, dumps(found).encode()
    except BaseException as error:
        _handler = None
        # No raise statement of the function's leads to a missing handler.
        answer = _errors.report(error, type(error) is not _entrypoint.HandlerNotFound)
        kind, status, _load_error = ERROR, _status_after(error), answer
    _snapshot.unwatch()
    _loop.recover()
    if kind == JSON and freeze:
        # What exists now is permanent. The collector must not touch it again: each
        # page it writes to is a page that a clone has to copy.
        gc.collect()
        immortalize_definitions()
        gc.freeze()
    _logs.flush()
    respond(kind, answer)
    return status or _kept()


def _prepare_to_freeze(before: Any) -> dict[str, Any]:
    """Return what two instances must not share of the function's import.

    Before it, Python's random number generator was in the given state.
    """
    impure = []
    if _snapshot.touched(before):
        impure.append("random")
    if _loop.busy():
        impure.append("event loop")
    if not impure:
        _snapshot.run_before_snapshot(_loop.settle)
    return {"impure": impure, "sources": _ahead.sources(CODE)}


def _entry_file(module: str) -> str:
    """The file that most likely contains a module of the function."""
    return f"{CODE}/{module.replace('.', '/')}.py"


def invoke(request: bytes) -> int:
    """Call the handler. Responds with its result or a function error.

    The invocation: {"raw": false, "event", "context"} or {"raw": true, "body",
    "context"}; "restored": true on the first call of an instance that was cloned
    from an image. A large body is in "body_base64", and empty in the event; in raw
    mode the body is then null, and "text" tells whether it is UTF-8.
    """
    # Until the handler is called, a failure is the instance's fault, not the
    # handler's: mostly for lack of memory. It would fail forever.
    status = DISCARD
    try:
        invocation = loads(request)
        if "signal" in invocation:
            return end(invocation["signal"])
        context = Context(invocation["context"])
        _logs.begin_call(context.request_id)
        if _handler is None:
            kind, answer, status = ERROR, _load_error, KEEP
        else:
            if "restored" in invocation and invocation["restored"]:
                restore()
            raw = invocation["raw"]
            event = raw_event(invocation) if raw else http_event(invocation)
            status = KEEP
            # In a context of its own: what a call sets in context variables must
            # not affect the next one.
            kind, answer = copy_context().run(
                handle_event, _handler, event, context, raw
            )
    except BaseException as error:
        # The failed call's data must not take memory that the report needs.
        invocation = context = event = None
        kind, answer = ERROR, _errors.report(error)
        status = status or _status_after(error)
        if not _errors.keep_reserve():
            status = DISCARD
    _loop.recover()
    _loop.report_failures()
    _logs.flush()
    respond(kind, answer)
    return status or _kept()


def _kept() -> int:
    """KEEP, or TELL if the function has a handler for the instance's end."""
    return TELL if _handles(SIGTERM) or _handles(SIGINT) else KEEP


def _handles(signal: int) -> bool:
    handler = getsignal(signal)
    return callable(handler) and handler is not default_int_handler


def end(signal: int) -> int:
    """Let the function's handler of a signal run: the instance is about to end.

    The request, an invocation: {"signal": number}.
    """
    kind, answer = JSON, b"null"
    try:
        if _handles(signal):
            raise_signal(signal)
    except BaseException as error:
        kind, answer = ERROR, _errors.report(error)
    _logs.flush()
    respond(kind, answer)
    return DISCARD


def handle_event(
    handler: Callable[..., Any], event: Any, context: Context, raw: bool
) -> tuple[int, bytes]:
    """Call the handler; return the kind of its response and the bytes."""
    result = handler(event, context)
    if type(result) not in _plain:
        result = _loop.settle(result)
    if raw and isinstance(result, (bytes, bytearray)):
        return RAW, result
    try:
        return JSON, dumps(result).encode()
    except TypeError:
        body = result.get("body") if type(result) is dict else None
        if raw or not isinstance(body, (bytes, bytearray)):
            raise
        raise TypeError(
            "the body is bytes: return base64.b64encode(body).decode() in its place, "
            "with 'isBase64Encoded': True"
        ) from None
    except ValueError as error:
        if not str(error).startswith("Out of range float"):
            raise
        raise ValueError(
            "the result has a float that is NaN or infinite, which JSON can't express: "
            "return None or a text in its place"
        ) from None


def http_event(invocation: dict[str, Any]) -> Any:
    """The event, with its body."""
    event = invocation["event"]
    encoded = invocation.get("body_base64")
    if encoded is not None:
        if not event["isBase64Encoded"]:
            encoded = binascii.a2b_base64(encoded).decode()
        event["body"] = encoded
    return event


def raw_event(invocation: dict[str, Any]) -> Any:
    """The request's body: parsed if it is JSON, else str, else bytes."""
    body = invocation["body"]
    if body is None:
        encoded = invocation["body_base64"]
        if encoded is None:
            return ""
        body = binascii.a2b_base64(encoded)
        if not invocation.get("text"):
            return body
        body = body.decode()
    try:
        # A byte order mark is not part of the text after it.
        return loads(body.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return body


def restore() -> None:
    """Make a clone an instance of its own before its first call."""
    reseed()
    _snapshot.run_after_restore(_loop.settle)


def reseed() -> None:
    """Make this instance's random generators differ from its siblings'."""
    _snapshot.reseed()
    _vivarium.reseed()


def prepare(environment: dict[str, str]) -> None:
    """Set the process up the way a function expects to find it."""
    os.environ.clear()
    os.environ.update(environment)
    if "TZ" in environment:
        time.tzset()
    os.chdir(CODE)
    sys.argv[:] = [""]
    sys.path[:] = [CODE, RUNTIME, *_library]
    # The boot may have listed another folder at this path.
    for path in list(sys.path_importer_cache):
        if path.startswith(CODE):
            del sys.path_importer_cache[path]
    _entrypoint.forget_shadowed(CODE, _irreplaceable)


def _add_to_environment(environment: dict[str, str]) -> None:
    """Set what the clone's image lacks: each write costs a page of it."""
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
            if name == "TZ":
                time.tzset()


def _status_after(error: BaseException) -> int:
    # Not isinstance, which asks the exception for its __class__.
    return DISCARD if issubclass(type(error), SystemExit) else KEEP


def _boot() -> None:
    sys.dont_write_bytecode = True
    # The names that the site module, which the guest lacks, would add.
    builtins.exit = Quitter("exit", "")
    builtins.quit = Quitter("quit", "")
    builtins.copyright = _Printer("copyright", sys.copyright)  # type: ignore[attr-defined]
    builtins.license = _Printer("license", "See https://www.python.org/psf/license/")  # type: ignore[attr-defined]
    builtins.help = _Helper()  # type: ignore[attr-defined]
    _logs.open_streams()
    _logs.configure_logging()
    _loop.install()
    _ahead.install(CODE)
    _packages.install()
    _rehearse()
    gc.collect()
    gc.freeze()


def _rehearse() -> None:
    """Invoke a few times, dropping the responses.

    This creates the event loop, and makes the interpreter specialize its bytecode
    for calls: otherwise each instance would spend its first call on that, and on
    copying the pages of the image that it changes.
    """
    global respond, _handler
    members = dict.fromkeys(Context.__annotations__, "")
    http = dumps({"raw": False, "event": {}, "context": members}).encode()
    raw = dumps({"raw": True, "body": "{}", "context": members}).encode()

    def handler(event: Any, context: Context) -> dict:
        return {"statusCode": 200, "body": ""}

    async def async_handler(event: Any, context: Context) -> dict:
        return {"statusCode": 200, "body": ""}

    answer, respond = respond, lambda kind, data, /: None
    for _handler in (handler, async_handler):
        for _ in range(_REHEARSALS):
            invoke(http)
            invoke(raw)
    respond, _handler = answer, None
    _logs.begin_call("")
    for _ in range(_REHEARSALS):  # of importing something small
        importlib.import_module("colorsys")
        del sys.modules["colorsys"]


_boot()
