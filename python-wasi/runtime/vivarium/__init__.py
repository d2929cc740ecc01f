"""What Vivarium offers a function beyond the contract of its handler.

Types for annotations (they cost nothing at run time):

    from vivarium import Context, HttpEvent, HttpResponse

    def handler(event: HttpEvent, context: Context) -> HttpResponse:
        return {"statusCode": 200, "body": context.request_id}

The package includes its types (PEP 561): install it where the type checker runs.
A function need not, and should not, include it.

Hooks around the image from which instances of a version are cloned:

    from vivarium import register_after_restore, register_before_snapshot

    @register_before_snapshot     # last registered runs first
    def let_go(): ...

    @register_after_restore       # first registered runs first
    def set_up_again(): ...

Both hooks run, or neither does: if importing a version can't be frozen, each
instance imports it for itself, and nothing has to be let go or set up again.
Modules whose name begins with an underscore are the runner's own.
"""

import sys

if sys.platform == "wasi":
    # Before anything that imports asyncio, and with it socket, or shutil.
    import vivarium._files
    import vivarium._platform  # noqa: F401  isort: skip

from vivarium._context import Context, Token  # noqa: E402
from vivarium._http import HttpEvent, HttpResponse, Identity, RequestContext
from vivarium._snapshot import register_after_restore, register_before_snapshot
from vivarium._trigger import (
    EventMetadata,
    MessageQueueDetails,
    ObjectStorageDetails,
    QueueAttribute,
    QueueMessage,
    TimerDetails,
    TriggerEvent,
    TriggerMessage,
)

__all__ = [
    "Context",
    "EventMetadata",
    "HttpEvent",
    "HttpResponse",
    "Identity",
    "MessageQueueDetails",
    "ObjectStorageDetails",
    "QueueAttribute",
    "QueueMessage",
    "RequestContext",
    "TimerDetails",
    "Token",
    "TriggerEvent",
    "TriggerMessage",
    "register_after_restore",
    "register_before_snapshot",
]
