"""Runs functions in the runner, each in an instance of its own.

By default the instances are processes of a plain CPython, forked from one that
has booted the runner (zygote.py). With VIVARIUM_TEST_GUEST set to a command the
very same tests run in the real guest: the command reads one job a line as JSON
on its stdin and answers each with a line, as the zygote does.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNTIME = HERE.parent / "runtime"
NATIVE = "VIVARIUM_TEST_GUEST" not in os.environ

JSON, RAW, ERROR = 0, 1, 2
REQUEST_ID = "6e8356f9-489b-4c7b-8ba6-c8cd74f25455"

_process: subprocess.Popen[bytes] | None = None


@dataclass
class Answer:
    """What one load or one invocation responded and returned."""

    status: int
    kind: int
    body: bytes
    seconds: float

    def result(self) -> Any:
        """The handler's result; fails the test if there is none."""
        assert self.kind == JSON, self.body.decode()
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        """The function error; fails the test if the call succeeded."""
        assert self.kind == ERROR, self.body[:1000]
        return json.loads(self.body)


@dataclass
class Run:
    """What one instance did."""

    load: Answer
    answers: list[Answer] = field(default_factory=list)
    stdout: str = ""
    stderr: str = ""

    @property
    def answer(self) -> Answer:
        """The answer of the only invocation."""
        assert len(self.answers) == 1
        return self.answers[0]


def context(**changes: Any) -> dict[str, Any]:
    """The context of an invocation: the contract's ten members."""
    return {
        "aws_request_id": REQUEST_ID,
        "deadline_ms": int(time.time() * 1000) + 60_000,
        "function_name": "d4eo2faf62",
        "function_version": "d4e3vrugh3",
        "invoked_function_arn": "d4eo2faf62",
        "log_group_name": "ckgjmanjlh",
        "log_stream_name": "d4e3vrugh3",
        "memory_limit_in_mb": 128,
        "request_id": REQUEST_ID,
        "token": None,
    } | changes


def http(event: Any = None, **members: Any) -> dict[str, Any]:
    """An invocation in HTTP mode."""
    event = {} if event is None else event
    return {"raw": False, "event": event, "context": context()} | members


def raw(body: str | bytes | None = None, **members: Any) -> dict[str, Any]:
    """An invocation in raw mode."""
    text, encoded = body, None
    if isinstance(body, bytes):
        text, encoded = None, base64.b64encode(body).decode()
    return {
        "raw": True,
        "body": text,
        "body_base64": encoded,
        "context": context(),
    } | members


def run(
    code: str | dict[str, str],
    *invocations: dict[str, Any],
    entrypoint: str = "main.handler",
    environment: dict[str, str] | None = None,
    memory_mb: int | None = None,
    **demand: Any,
) -> Run:
    """Load a function (main.py, or several files), then invoke it in order."""
    files = {"main.py": code} if isinstance(code, str) else code
    job = {
        "files": {name: textwrap.dedent(text) for name, text in files.items()},
        "load": {
            "entrypoint": entrypoint,
            "environment": environment or {},
            "structured_logging": True,
        }
        | demand,
        "invocations": list(invocations),
        "memory_mb": memory_mb,
    }
    process = _guest()
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(job).encode() + b"\n")
    process.stdin.flush()
    done = json.loads(process.stdout.readline())
    assert "died" not in done, f"the instance died: {done}"
    answers = [
        Answer(status, kind, base64.b64decode(body), seconds)
        for status, kind, body, seconds in done["answers"]
    ]
    return Run(answers[0], answers[1:], done["stdout"], done["stderr"])


def call(code: str, invocation: dict[str, Any] | None = None, **options: Any) -> Any:
    """The result of one invocation in HTTP mode."""
    return run(code, invocation or http(), **options).answer.result()


def fail(code: str, invocation: dict[str, Any] | None = None, **options: Any) -> dict:
    """The function error of one invocation in HTTP mode."""
    return run(code, invocation or http(), **options).answer.error()


def _guest() -> subprocess.Popen[bytes]:
    global _process
    if _process is None:
        command = [sys.executable, "-I", "-S", "-B", str(HERE / "zygote.py")]
        if not NATIVE:
            command = shlex.split(os.environ["VIVARIUM_TEST_GUEST"])
        _process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(_end)
    return _process


def _end() -> None:
    if _process is not None and _process.stdin and _process.stdout:
        _process.stdin.close()
        _process.wait()
        _process.stdout.close()
