"""The types of the events that triggers send, in raw mode."""

from __future__ import annotations

from typing import Generic, NotRequired, TypedDict, TypeVar

Details = TypeVar("Details")


class EventMetadata(TypedDict):
    """Where a message comes from; ``created_at`` is RFC 3339."""

    event_id: str
    event_type: str
    created_at: str
    cloud_id: str
    folder_id: str
    tracing_context: NotRequired[dict[str, str] | None]


class TriggerMessage(TypedDict, Generic[Details]):
    """One message; the type of ``details`` depends on the trigger."""

    event_metadata: EventMetadata
    details: Details


class TriggerEvent(TypedDict, Generic[Details]):
    """The event of a trigger: ``TriggerEvent[TimerDetails]``, for example."""

    messages: list[TriggerMessage[Details]]


class TimerDetails(TypedDict):
    """Details of a timer's message."""

    trigger_id: str
    payload: str


class ObjectStorageDetails(TypedDict):
    """Details of a message about an object in a bucket."""

    bucket_id: str
    object_id: str


class QueueAttribute(TypedDict):
    """An attribute that the sender gave a queue's message."""

    data_type: str
    string_value: str


class QueueMessage(TypedDict):
    """A queue's message; ``body`` is text, never base64."""

    message_id: str
    md5_of_body: str
    body: str
    attributes: dict[str, str]
    message_attributes: dict[str, QueueAttribute]
    md5_of_message_attributes: str


class MessageQueueDetails(TypedDict):
    """Details of a message of a queue."""

    queue_id: str
    message: QueueMessage
