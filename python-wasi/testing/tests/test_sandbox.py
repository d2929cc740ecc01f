"""Handlers in the sandbox, by the fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivarium_testing import FunctionError, Sandbox, http_event, timer_event

HANDLER = """
import logging, os, sys

def handler(event, context):
    print("printed")
    logging.getLogger().warning("logged")
    return [event, sys.platform, os.environ.get("NAME"), context.memory_limit_in_mb]

def fails(event, context):
    print("before")
    return {}["missing"]

def endless(event, context):
    while True: pass

def greedy(event, context):
    return len(bytearray(500 << 20))

def raw(event, context):
    return b"\\xff\\x00"

def page(event, context):
    return {"statusCode": 200, "body": event["queryStringParameters"]["name"]}
"""


@pytest.fixture
def function(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(HANDLER)
    return tmp_path


def test_it_is_the_sandbox(sandbox: Sandbox, function: Path) -> None:
    called = sandbox.call(function, {"ä": [1, None]}, memory=256, env={"NAME": "a=b c"})
    assert called.result == [{"ä": [1, None]}, "wasi", "a=b c", 256]
    assert "printed" in called.log and "logged" in called.log and "REPORT" not in called.log
    assert sandbox.call(function, timer_event("daily")).result[0]["messages"][0]["details"]["payload"] == "daily"
    assert sandbox.call(function, http_event(url="/?name=Ann"), entrypoint="main.page").result == {"statusCode": 200, "body": "Ann"}
    assert sandbox.call(function / "main.py", entrypoint="main.raw").result == b"\xff\x00"


@pytest.mark.parametrize("entrypoint, kind", [
    ("main.fails", "KeyError"), ("main.endless", "ExecutionTimeout"), ("main.greedy", "MemoryError"), ("main.none", "HandlerNotFound"),
])
def test_failures(sandbox: Sandbox, function: Path, entrypoint: str, kind: str) -> None:
    with pytest.raises(FunctionError) as caught:
        sandbox.call(function, entrypoint=entrypoint, timeout=0.5)
    assert caught.value.type == kind and str(caught.value).startswith(kind + ": ")
    if kind == "KeyError":
        assert "before" in caught.value.log and 'return {}["missing"]' in "".join(caught.value.trace)


def test_what_cannot_be_called(sandbox: Sandbox, function: Path) -> None:
    with pytest.raises(RuntimeError, match="multiple of 128"):
        sandbox.call(function, memory=100)
    with pytest.raises(RuntimeError, match="no such file"):
        sandbox.call(function / "none")
