"""The handler of a session: it runs snippets that share their names, as the cells
of a notebook do.

The event: {"number", "code", "begin", "environment"}; begin is true the first time.
The result:
{"displays": [{"data": {TYPE: DATA}, "result": BOOL}]}, with "error" if the snippet
failed, and "exitCode" if it ended itself with sys.exit. DATA is text, base64 for
types that are not, and any value for JSON.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import os
import sys
import time
import traceback
from binascii import b2a_base64
from collections.abc import Mapping
from inspect import CO_COROUTINE
from json import JSONEncoder, loads
from signal import SIGINT, signal
from types import CodeType, FrameType, ModuleType
from typing import Any

from vivarium import _errors, _loop

FOLDER = "/tmp"
"""The working directory, first on sys.path: what the session's owner puts there can
be imported."""

TEXT_LIMIT = 256 * 1024
"""Characters of a text/plain."""

DISPLAY_LIMIT = 4 * 1024 * 1024
"""Characters of all that a snippet displays; what doesn't fit is left out."""

DISPLAYS_LIMIT = 1000
"""Objects that a snippet displays."""

# The methods by which objects say what they look like, as Jupyter has them.
_METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
    "application/pdf": "_repr_pdf_",
}

_encode = JSONEncoder(allow_nan=False).encode

_displays: list[dict[str, Any]] = []
_left = DISPLAY_LIMIT
_running = False  # the snippet itself, which can be interrupted


def run(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Run a snippet."""
    global _left, _running
    _displays.clear()
    _left = DISPLAY_LIMIT
    if event["begin"]:
        _begin(event["environment"] or {})
    answer: dict[str, Any] = {"displays": _displays}
    try:
        _running = True
        value = _execute(event["code"], f"<snippet {event['number']}>")
        if value is not None:
            builtins._ = value  # type: ignore[attr-defined]
            _show(value, True)
        _running = False
    except SystemExit as end:
        _running = False
        answer["exitCode"] = _exit_code(end)
    except BaseException as error:
        _running = False
        texts: list[str] = []
        report = loads(_errors.report(error, write=texts.append))
        report["traceback"] = texts[0] if texts else ""
        answer["error"] = report
    return answer


def _begin(environment: dict[str, str]) -> None:
    """Set the process up the way a script expects to find it."""
    main = ModuleType("__main__")
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    builtins.display = display  # type: ignore[attr-defined]
    os.environ.update(environment)
    if "TZ" in environment:
        time.tzset()
    os.chdir(FOLDER)
    sys.path.insert(0, FOLDER)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT. The runtime around a snippet must not be interrupted; the host
    asks again."""
    if _running:
        raise KeyboardInterrupt


signal(SIGINT, _interrupt)


def _execute(source: str, name: str) -> Any:
    """Run a snippet; return the value of the expression that it ends with, unless a
    semicolon follows that."""
    # Tracebacks look the lines up. Without a time, the entry is never checked.
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    tree = compile(source, name, "exec", ast.PyCF_ONLY_AST | _FLAGS, dont_inherit=True)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        _evaluate(compile(tree, name, "exec", _FLAGS, dont_inherit=True))
        return None
    tree.body.pop()
    if tree.body:
        _evaluate(compile(tree, name, "exec", _FLAGS, dont_inherit=True))
    return _evaluate(
        compile(ast.Expression(last.value), name, "eval", _FLAGS, dont_inherit=True)
    )


_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def _evaluate(code: CodeType) -> Any:
    value = eval(code, sys.modules["__main__"].__dict__)
    return _loop.settle(value) if code.co_flags & CO_COROUTINE else value


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return int(end.code)
    print(end.code, file=sys.stderr)
    return 1


def display(*values: object) -> None:
    """Show objects in the answer to the snippet, by their _repr_html_ and the like."""
    for value in values:
        _show(value, False)


def _show(value: object, result: bool) -> None:
    global _left
    data = {}
    for kind, content in _looks(value).items():
        size = len(content if isinstance(content, str) else _encode(content))
        if size > _left or len(_displays) >= DISPLAYS_LIMIT:
            print(f"[{kind} of {size} characters is left out]", file=sys.stderr)
            continue
        _left -= size
        data[kind] = content
    if data:
        _displays.append({"data": data, "result": result})


def _looks(value: object) -> dict[str, Any]:
    """What an object looks like, by media type."""
    text = repr(value)
    if len(text) > TEXT_LIMIT:
        text = f"{text[:TEXT_LIMIT]} [{len(text) - TEXT_LIMIT} more characters]"
    looks: dict[str, Any] = {"text/plain": text}
    if isinstance(value, type):  # whose methods are its objects'
        return looks
    bundle = _ask(value, "_repr_mimebundle_", include=None, exclude=None)
    if isinstance(bundle, Mapping):
        for kind, content in bundle.items():
            _add(looks, kind, content)
    for kind, method in _METHODS.items():
        if kind not in looks:
            _add(looks, kind, _ask(value, method))
    return looks


def _ask(value: object, method: str, **options: object) -> Any:
    """What a method returns, if there is one, without the metadata."""
    try:
        bound = getattr(value, method, None)
        found = bound(**options) if callable(bound) else None
    except Exception:
        # It may still be shown in other ways.
        traceback.print_exc()
        return None
    return found[0] if isinstance(found, tuple) and found else found


def _add(looks: dict[str, Any], kind: object, content: object) -> None:
    if not isinstance(kind, str) or content is None:
        return
    if isinstance(content, (bytes, bytearray)):
        looks[kind] = b2a_base64(content, newline=False).decode()
    elif kind == "application/json" or kind.endswith("+json"):
        try:
            looks[kind] = loads(_encode(content))
        except (TypeError, ValueError, RecursionError):
            print(f"[{kind} is left out: it can't be expressed in JSON]", file=sys.stderr)
    elif isinstance(content, str):
        looks[kind] = content
