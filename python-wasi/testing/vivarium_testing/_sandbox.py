"""Calling a handler in the sandbox, by the program ``vivarium``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "VIVARIUM_PROGRAM"
"""The environment variable that names the program, if it is not found otherwise."""

# Lines of the log that are the platform's.
_PLATFORM = ("START RequestID: ", "END RequestID: ", "REPORT RequestID: ", "ERROR RequestID: ", "vivarium: ")


@dataclass(frozen=True)
class Called:
    """What came of a call."""

    result: Any
    """What the handler returned, as JSON has it; bytes if it returned such."""
    log: str
    """What it has printed and logged."""


class FunctionError(Exception):
    """The function failed: it raised, could not be loaded, or broke a limit."""

    def __init__(self, error: Mapping[str, Any], log: str) -> None:
        self.type: str = error.get("errorType", "")
        """The exception's name; ExecutionTimeout, OutOfMemory, ... for the platform's."""
        self.message: str = error.get("errorMessage", "")
        self.trace: list[str] = list(error.get("stackTrace", ()))
        self.log = log
        """What it had printed and logged."""
        super().__init__(f"{self.type}: {self.message}")


class Sandbox:
    """Calls handlers as they are called once they are deployed.

    ``program`` is the path of ``vivarium``; without one it is looked for in
    VIVARIUM_PROGRAM, beside this Python and on PATH. Raises FileNotFoundError if it is
    nowhere.
    """

    def __init__(self, program: str | None = None) -> None:
        self.program = program or _find()

    def call(
        self,
        path: str | os.PathLike[str],
        event: Any = None,
        *,
        entrypoint: str | None = None,
        memory: int = 128,
        timeout: float = 3.0,
        env: Mapping[str, str] | None = None,
        allow_net: str | None = None,
    ) -> Called:
        """Call the handler of a folder, file or archive once, in a new instance.

        ``event`` is what the handler gets: the event of http_event and the like, or
        anything that JSON can say. ``memory`` is in MB, ``timeout`` in seconds.

        Raises FunctionError if the function fails, RuntimeError if it can't be called.
        """
        arguments = [f"--memory={memory}", f"--timeout={timeout * 1000:.0f}ms"]
        if entrypoint is not None:
            arguments.append(f"--entrypoint={entrypoint}")
        if allow_net is not None:
            arguments.append(f"--allow-net={allow_net}")
        arguments += [f"--env={name}={value}" for name, value in (env or {}).items()]
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "event")
            with open(data, "w", encoding="utf-8") as file:
                json.dump(event, file)
            done = subprocess.run(
                [self.program, "run", os.fspath(path), "--raw", f"--data=@{data}", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
        said = done.stderr.decode(errors="replace")
        log = "".join(line for line in said.splitlines(keepends=True) if not line.startswith(_PLATFORM))
        if done.returncode == 0:
            return Called(_result(done.stdout), log)
        if done.returncode == 1:
            raise FunctionError(json.loads(done.stdout), log)
        raise RuntimeError(said.strip())


def _result(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer


def _find() -> str:
    beside = os.path.join(os.path.dirname(sys.executable), "vivarium")
    for program in (os.environ.get(VARIABLE), shutil.which(beside), shutil.which("vivarium")):
        if program:
            return program
    raise FileNotFoundError(
        "there is no program vivarium: pip install vivarium-functions, put it on PATH, "
        f"or name it in the environment variable {VARIABLE}"
    )
