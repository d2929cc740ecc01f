"""Contexts and events, in the Python that runs the tests."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from vivarium_testing import (
    http_event,
    make_context,
    message_queue_event,
    object_storage_event,
    sample_event,
    sample_names,
    timer_event,
)


def test_context_is_of_a_call_that_begins_now() -> None:
    context = make_context(timeout=5, memory_limit_in_mb=256)
    assert 4000 < context.get_remaining_time_in_millis() <= 5000
    assert context.memory_limit_in_mb == 256 and context.token is None
    assert context.request_id == context.aws_request_id != make_context().request_id
    assert set(vars(context)) == set(type(context).__annotations__)


def test_http_event() -> None:
    event = http_event("POST", "/a?x=1&x=2&y=", headers={"X-A": "b"}, body='{"ä": 1}')
    assert event["queryStringParameters"] == {"x": "2", "y": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": [""]}
    assert (event["body"], event["isBase64Encoded"]) == ('{"ä": 1}', False)
    assert event["headers"]["Content-Type"] == "application/json"
    assert event["multiValueHeaders"]["X-A"] == ["b"]
    assert event["requestContext"]["httpMethod"] == event["httpMethod"] == "POST"
    empty = http_event()
    assert (empty["body"], empty["isBase64Encoded"]) == ("", True)
    form = http_event("POST", body="a=b", headers={"content-type": "application/x-www-form-urlencoded"})
    assert (form["body"], form["isBase64Encoded"]) == ("YT1i", True)
    typed = http_event("POST", body=b"{}", headers={"content-type": "application/json; charset=utf-8"})
    assert (typed["body"], typed["isBase64Encoded"]) == ("{}", False)


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {name: shape(member) for name, member in cast(dict[str, object], value).items()}
    if isinstance(value, list):
        return [shape(member) for member in cast(list[object], value)]
    return type(value)


@pytest.mark.parametrize("made, name", [
    (timer_event("daily"), "timer"),
    (object_storage_event("bucket", "key"), "object-storage"),
])
def test_triggers_have_what_samples_have(made: Any, name: str) -> None:
    assert shape(made) == shape(sample_event(name))


def test_triggers() -> None:
    assert timer_event("daily", trigger_id="a1")["messages"][0]["details"] == {"trigger_id": "a1", "payload": "daily"}
    queued = message_queue_event("one", "two")
    assert [m["details"]["message"]["body"] for m in queued["messages"]] == ["one", "two"]
    first = queued["messages"][0]["details"]["message"]
    assert first["md5_of_body"] == "f97c5d29941bfb1b2fdab0874906ab82"
    assert first.keys() == sample_event("message-queue")["messages"][0]["details"]["message"].keys()
    deleted = object_storage_event("b", "k", "ObjectDelete")["messages"][0]
    assert deleted["event_metadata"]["event_type"] == "yandex.cloud.events.storage.ObjectDelete"
    assert abs(time.time() - time.mktime(time.strptime(deleted["event_metadata"]["created_at"], "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60


def test_samples() -> None:
    assert "alice" in sample_names() and len(sample_names()) > 10
    changed = sample_event("alice")
    changed["session"] = None
    assert sample_event("alice") != changed
    with pytest.raises(ValueError, match="'../alice', but alice"):
        sample_event("../alice")
