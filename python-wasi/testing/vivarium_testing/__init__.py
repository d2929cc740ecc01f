"""What tests of handlers need: a context, events, and the sandbox to run them in.

    from vivarium_testing import make_context, timer_event

    def test_tick():
        assert handler(timer_event("daily"), make_context()) == "daily"

Where pytest is, the fixture ``sandbox`` calls handlers as they will be called, in
WebAssembly and with their limits; see Sandbox.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, cast
from urllib.parse import parse_qs

from vivarium import (
    Context,
    HttpEvent,
    MessageQueueDetails,
    ObjectStorageDetails,
    TimerDetails,
    Token,
    TriggerEvent,
)
from vivarium_testing._sandbox import Called, FunctionError, Sandbox

__all__ = [
    "Called",
    "FunctionError",
    "Sandbox",
    "http_event",
    "make_context",
    "message_queue_event",
    "object_storage_event",
    "sample_event",
    "sample_names",
    "timer_event",
]


def make_context(
    *,
    function_name: str = "d4eexamplefunction00",
    function_version: str = "d4eexampleversion000",
    memory_limit_in_mb: int = 128,
    timeout: float = 3.0,
    request_id: str | None = None,
    token: Token | None = None,
) -> Context:
    """Return a context of a call that begins now and has ``timeout`` seconds.

    Each has another request id unless one is given.
    """
    request_id = request_id or str(uuid.uuid4())
    return Context(
        {
            "aws_request_id": request_id,
            "deadline_ms": int((time.time() + timeout) * 1000),
            "function_name": function_name,
            "function_version": function_version,
            "invoked_function_arn": f"arn:yc:serverless:functions:::{function_name}",
            "log_group_name": "ckgexampleloggroup00",
            "log_stream_name": function_version,
            "memory_limit_in_mb": memory_limit_in_mb,
            "request_id": request_id,
            "token": token,
        }
    )


def http_event(
    method: str = "GET",
    url: str = "/",
    *,
    headers: Mapping[str, str] | None = None,
    body: str | bytes = b"",
) -> HttpEvent:
    """Return the event of an HTTP request, as the contract has it.

    ``url`` may have a query. A body that is a str is the text of a request of type
    application/json, which that header then says unless another does; everything else
    is base64 in the event.
    """
    sent = {"Host": "localhost", **(headers or {})}
    types = [value for name, value in sent.items() if name.lower() == "content-type"]
    if isinstance(body, str) and not types:
        types = [sent.setdefault("Content-Type", "application/json")]
    plain = bool(types) and types[0].partition(";")[0].strip().lower() == "application/json"
    data = body.encode() if isinstance(body, str) else body
    query = parse_qs(url.partition("?")[2], keep_blank_values=True)
    last = {name: values[-1] for name, values in query.items()}
    now = time.time()
    return {
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": last,
        "multiValueQueryStringParameters": query,
        "requestContext": {
            "identity": {"sourceIp": "127.0.0.1", "userAgent": sent.get("User-Agent", "")},
            "httpMethod": method,
            "requestId": str(uuid.uuid4()),
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now),
        },
        "body": data.decode() if plain else base64.b64encode(data).decode(),
        "isBase64Encoded": not plain,
        "url": url,
        "params": {},
        "multiValueParams": {},
        "pathParams": {},
    }


def timer_event(payload: str = "", *, trigger_id: str | None = None) -> TriggerEvent[TimerDetails]:
    """Return the event of a timer with a payload."""
    event = sample_event("timer")
    details = event["messages"][0]["details"]
    details["payload"] = payload
    if trigger_id is not None:
        details["trigger_id"] = trigger_id
    return cast("TriggerEvent[TimerDetails]", _received_now(event))


def message_queue_event(*bodies: str, queue_id: str | None = None) -> TriggerEvent[MessageQueueDetails]:
    """Return the event of a queue's trigger with a message for each body."""
    messages = []
    for body in bodies:
        event = sample_event("message-queue")
        details = event["messages"][0]["details"]
        if queue_id is not None:
            details["queue_id"] = queue_id
        details["message"] |= {
            "message_id": str(uuid.uuid4()),
            "body": body,
            "md5_of_body": hashlib.md5(body.encode()).hexdigest(),
            "message_attributes": {},
            "md5_of_message_attributes": "",
        }
        messages += _received_now(event)["messages"]
    return cast("TriggerEvent[MessageQueueDetails]", {"messages": messages})


def object_storage_event(
    bucket: str, key: str, kind: str = "ObjectCreate"
) -> TriggerEvent[ObjectStorageDetails]:
    """Return the event of an object that was created, or of another ``kind``:
    ObjectUpdate, ObjectDelete."""
    event = sample_event("object-storage")
    event["messages"][0]["details"] = {"bucket_id": bucket, "object_id": key}
    event["messages"][0]["event_metadata"]["event_type"] = f"yandex.cloud.events.storage.{kind}"
    return cast("TriggerEvent[ObjectStorageDetails]", _received_now(event))


def _received_now(event: dict[str, Any]) -> dict[str, Any]:
    for message in event["messages"]:
        message["event_metadata"]["event_id"] = str(uuid.uuid4())
        message["event_metadata"]["created_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return event


def sample_names() -> list[str]:
    """The names of all samples."""
    found = (entry.name for entry in (files(__name__) / "samples").iterdir())
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


def sample_event(name: str) -> Any:
    """Return a sample event, to be changed: those of ``vivarium run --event-sample``.

    Raises ValueError if there is none of that name.
    """
    if name not in sample_names():
        raise ValueError(f"there is no sample {name!r}, but {', '.join(sample_names())}")
    return json.loads((files(__name__) / "samples" / f"{name}.json").read_text("utf-8"))
