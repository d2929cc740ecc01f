"""The second argument of a handler."""

from __future__ import annotations

from time import time as _wall_clock
from typing import TypedDict

standing_since: float | None = None
"""When a debugger stopped the call, in seconds since 1970; None while it runs."""


class Token(TypedDict):
    """The service account's token. A plain dict, so that json can write it."""

    access_token: str
    expires_in: int
    token_type: str


class Context:
    """What the platform tells the handler about the call.

    The ten members are instance attributes and the instance has no others:
    functions dump it with ``json.dumps(context, default=vars)``.
    """

    aws_request_id: str
    deadline_ms: int
    function_name: str
    function_version: str
    invoked_function_arn: str
    log_group_name: str
    log_stream_name: str
    memory_limit_in_mb: int
    request_id: str
    token: Token | None

    def __init__(self, members: dict) -> None:
        self.aws_request_id = members["aws_request_id"]
        self.deadline_ms = members["deadline_ms"]
        self.function_name = members["function_name"]
        self.function_version = members["function_version"]
        self.invoked_function_arn = members["invoked_function_arn"]
        self.log_group_name = members["log_group_name"]
        self.log_stream_name = members["log_stream_name"]
        self.memory_limit_in_mb = members["memory_limit_in_mb"]
        self.request_id = members["request_id"]
        self.token = members["token"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the call times out; 0 afterwards."""
        now = _wall_clock() if standing_since is None else standing_since
        return max(0, self.deadline_ms - int(now * 1000))
