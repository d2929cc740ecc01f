"""Boots the runner once and forks an instance for each job on stdin.

See guest.py for the jobs. A fork stands in for the clone of an image: it begins
with all of the booted interpreter's memory.
"""

from __future__ import annotations

import sys

startup_modules = frozenset(sys.modules)

# ruff: noqa: E402
import base64
import gc
import json
import os
import resource
import shutil
import signal
import stat
import tempfile
import time
import types
from pathlib import Path

RUNTIME = str(Path(__file__).parent.parent / "runtime")
INSTANCE_SECONDS = 30

responses: list[tuple[int, bytes]] = []


def respond(kind: int, data: bytes, /) -> None:
    """Stands in for the built-in module's function of that name."""
    responses.append((kind, bytes(data)))


def end_lines() -> None:
    """Stand in for the built-in module's function of that name."""
    for fd in (1, 2):
        size = os.fstat(fd).st_size
        if stat.S_ISREG(os.fstat(fd).st_mode) and size and os.pread(fd, 1, size - 1) != b"\n":
            os.write(fd, b"\n")


def boot() -> types.ModuleType:
    """Import the runner as the embedding does."""
    # The runner is to find the interpreter as it starts, without our imports.
    for name in set(sys.modules) - startup_modules:
        del sys.modules[name]
    builtin = types.ModuleType("_vivarium")
    builtin.respond = respond  # type: ignore[attr-defined]
    builtin.interrupt = lambda ident, /: None  # type: ignore[attr-defined]
    builtin.reseed = lambda: None  # type: ignore[attr-defined]
    builtin.seed = os.urandom  # type: ignore[attr-defined]
    builtin.immortalize_definitions = lambda: None  # type: ignore[attr-defined]
    builtin.get_objects, builtin.get_referrers = gc.get_objects, gc.get_referrers  # type: ignore[attr-defined]
    chmod = os.chmod
    builtin.chmod = lambda path, mode, dir_fd, follow, /: chmod(path, mode)  # type: ignore[attr-defined]
    builtin.fchmod, builtin.umask = os.fchmod, os.umask  # type: ignore[attr-defined]
    builtin.end_lines = end_lines  # type: ignore[attr-defined]
    sys.modules["_vivarium"] = builtin
    sys.path.insert(0, RUNTIME)
    import runtime

    return runtime


def main() -> None:
    jobs = os.fdopen(os.dup(0), "rb")
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    runtime = boot()
    for line in jobs:
        folder = tempfile.mkdtemp()
        incoming, outgoing = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(INSTANCE_SECONDS)
            os.close(incoming)
            try:
                result = work(runtime, json.loads(line), folder)
            except BaseException as error:
                result = {"died": repr(error)}
            with os.fdopen(outgoing, "w") as pipe:
                json.dump(result, pipe)
            os._exit(0)
        os.close(outgoing)
        with os.fdopen(incoming, "r") as pipe:
            text = pipe.read()
        _, status = os.waitpid(child, 0)
        shutil.rmtree(folder)
        text = text or json.dumps({"died": status})
        results.write(as_in_guest(text, folder).encode() + b"\n")
        results.flush()


def work(runtime: types.ModuleType, job: dict, folder: str) -> dict:
    """Be the instance: load, invoke, and tell what came of it."""
    code = os.path.join(folder, "code")
    for name, text in job["files"].items():
        path = Path(code, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{folder}/{name}", os.O_CREAT | os.O_RDWR | os.O_APPEND)
        os.dup2(file, number)
    limit = resource.RLIM_INFINITY
    if job["memory_mb"]:
        # Beyond what the interpreter has mapped already.
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + job["memory_mb"] * 1024 * 1024
    runtime.CODE = code
    answers = [step(runtime.load, job["load"], limit)]
    for invocation in job["invocations"]:
        answers.append(step(runtime.invoke, invocation, limit))
    return {
        "answers": answers,
        "stdout": Path(folder, "stdout").read_bytes().decode(),
        "stderr": Path(folder, "stderr").read_bytes().decode(),
    }


def step(function: types.FunctionType, document: dict, limit: int) -> list:
    """One load or invocation: status, kind, body, seconds."""
    request = json.dumps(document).encode()
    responses.clear()
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    begin = time.perf_counter()
    status = function(request)
    seconds = time.perf_counter() - begin
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    if len(responses) != 1:
        raise RuntimeError(f"{len(responses)} responses")
    kind, body = responses[0]
    if kind != 1:
        body = as_in_guest(body.decode(), str(Path(sys.path[0]).parent)).encode()
    return [status, kind, base64.b64encode(body).decode(), seconds]


def as_in_guest(text: str, folder: str) -> str:
    """The text with the paths that the files have in the guest."""
    text = text.replace(f"{folder}/code", "/function/code")
    text = text.replace(RUNTIME, "/function/runtime")
    return text.replace(os.path.dirname(os.__file__), "/usr/lib/python3.13")


main()
