"""The log streams and the logging set-up that functions find.

stdout and stderr are the execution log: one entry per line, where a carriage
return inside a line is a line break within the entry.
"""

from __future__ import annotations

import io
import logging
import sys
import time
from typing import Any, TextIO

from _vivarium import end_lines

# The current call; empty while the function is imported.
_request_id = ""


def begin_call(request_id: str) -> None:
    """Give log records this request id from now on."""
    global _request_id
    _request_id = request_id


class _RequestId:
    """record.request_id for records that don't have their own.

    Not a property: one could not be set on an instance.
    """

    def __get__(self, record: object, owner: type) -> str:
        return _request_id


class Record(logging.LogRecord):
    """A log record with the request id.

    The id is added to the record's dict when the record is formatted, not when it
    is created: logging refuses ``extra={"request_id": ...}`` for a record that
    has one already, and functions from elsewhere pass just that.
    """

    request_id = _RequestId()

    def getMessage(self) -> str:
        self.__dict__.setdefault("request_id", _request_id)
        return super().getMessage()


class RootHandler(logging.StreamHandler):
    """Writes records to the current sys.stdout, one entry per record."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._stream: Any = None

    @property
    def stream(self) -> Any:  # type: ignore[override]
        """sys.stdout, unless another stream was set."""
        return sys.stdout if self._stream is None else self._stream

    @stream.setter
    def stream(self, stream: Any) -> None:
        self._stream = stream

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return _one_entry(text) if self.stream is _stdout else text


def open_streams() -> None:
    """Point sys.stdout and sys.stderr at the log, buffered by line."""
    global _stdout, _stderr
    _stdout = sys.stdout = sys.__stdout__ = _open(1)  # type: ignore[misc]
    _stderr = sys.stderr = sys.__stderr__ = _open(2)  # type: ignore[misc]


def configure_logging() -> None:
    """Give the root logger its handler; its level stays at WARNING."""
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(request_id)s\t%(message)s",
        "%Y-%m-%dT%H:%M:%S",
        # For a function that replaces the record factory.
        defaults={"request_id": ""},
    )
    formatter.converter = time.gmtime
    handler = RootHandler()
    handler.setFormatter(formatter)
    logging.setLogRecordFactory(Record)
    logging.getLogger().addHandler(handler)


def write_entry(text: str) -> None:
    """Write one entry to the log, bypassing whatever sys.stderr has become.

    What was printed earlier precedes it, and an unfinished line becomes an entry
    of its own.
    """
    flush()
    end_lines()
    _stderr.write(_one_entry(text) + "\n")
    _stderr.flush()


def flush() -> None:
    """Flush the streams. Never fails.

    A function may have closed, removed or replaced them. Afterwards there are
    usable ones; a usable replacement stays.
    """
    try:
        out = sys.stdout
        err = sys.stderr
        out.flush()
        err.flush()
        if out is _stdout and err is _stderr:
            return
    except BaseException:
        pass
    try:
        _repair()
    except OSError:
        # The function has closed the files themselves.
        pass


def _repair() -> None:
    global _stdout, _stderr
    if not _usable(_stdout):
        _stdout = sys.__stdout__ = _open(1)  # type: ignore[misc]
    if not _usable(_stderr):
        _stderr = sys.__stderr__ = _open(2)  # type: ignore[misc]
    if not _usable(getattr(sys, "stdout", None)):
        sys.stdout = _stdout
    if not _usable(getattr(sys, "stderr", None)):
        sys.stderr = _stderr


def _usable(stream: Any) -> bool:
    try:
        if stream is None or stream.closed or not callable(stream.write):
            return False
        stream.flush()
    except AttributeError:
        # A bare object with a write method is enough for print.
        return callable(getattr(stream, "write", None))
    except BaseException:
        return False
    return True


def _open(number: int) -> TextIO:
    # closefd: closing the stream must not remove the log for good.
    raw = io.FileIO(number, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8",
        # A lone surrogate must not turn a print into an exception.
        errors="backslashreplace",
        newline="\n",
        line_buffering=True,
    )


def _one_entry(text: str) -> str:
    return text.rstrip("\n").replace("\n", "\r")


_stdout: TextIO = sys.stdout
_stderr: TextIO = sys.stderr
