"""What a channel is told when it is made: its target, its options, its service config."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from ._codes import StatusCode
from ._version import __version__

_DEFAULT_PORT = 443

# The longest message that a server may send, unless an option says otherwise,
# and the largest list of headers. Both in bytes.
_MAX_RECEIVE = 4 << 20
_MAX_METADATA = 64 << 10

# As gRPC's libraries do, whatever a service config says.
_MOST_ATTEMPTS = 5

# Between attempts at connecting, in seconds.
_FIRST_BACKOFF, _MAX_BACKOFF, _BACKOFF_FACTOR = 1.0, 120.0, 1.6


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a method's calls are made again."""

    attempts: int
    first: float
    longest: float
    factor: float
    codes: frozenset[StatusCode]

    def backoff(self, attempt: int) -> float:
        """How many seconds to wait after a failed attempt, of which the first is 1."""
        return random.uniform(0.8, 1.2) * min(self.first * self.factor ** (attempt - 1), self.longest)


@dataclasses.dataclass(frozen=True, slots=True)
class MethodConfig:
    """What a service config says about a method."""

    timeout: float | None = None
    wait_for_ready: bool | None = None
    retry: RetryPolicy | None = None


class Throttle:
    """Ends retries while most calls fail: a count of tokens."""

    def __init__(self, tokens: float, ratio: float) -> None:
        self._most = self._tokens = tokens
        self._ratio = ratio

    def succeeded(self) -> None:
        self._tokens = min(self._most, self._tokens + self._ratio)

    def failed(self) -> bool:
        """Count a failure; whether a retry is allowed."""
        self._tokens = max(0, self._tokens - 1)
        return self._tokens > self._most / 2


class Options:
    """A channel's options."""

    def __init__(self, options: Iterable[tuple[str, Any]] | None) -> None:
        given = list(options or ())
        values: dict[str, Any] = dict(given)
        self.max_receive = int(values.get("grpc.max_receive_message_length", _MAX_RECEIVE))
        self.max_send = int(values.get("grpc.max_send_message_length", -1))
        self.max_metadata = int(
            values.get(
                "grpc.absolute_max_metadata_size", max(_MAX_METADATA, int(values.get("grpc.max_metadata_size", 0)))
            )
        )
        self.authority: str | None = values.get("grpc.default_authority")
        self.server_name: str | None = values.get("grpc.ssl_target_name_override")
        self.keepalive = _milliseconds(values.get("grpc.keepalive_time_ms"))
        self.keepalive_timeout = _milliseconds(values.get("grpc.keepalive_timeout_ms")) or 20.0
        self.keepalive_always = bool(values.get("grpc.keepalive_permit_without_calls"))
        self.first_backoff = _milliseconds(values.get("grpc.initial_reconnect_backoff_ms")) or _FIRST_BACKOFF
        self.max_backoff = _milliseconds(values.get("grpc.max_reconnect_backoff_ms")) or _MAX_BACKOFF
        before = [value for key, value in given if key == "grpc.primary_user_agent"]
        after = [value for key, value in given if key == "grpc.secondary_user_agent"]
        agent = f"grpc-python/{__version__} (vivarium; {sys.platform})"
        self.user_agent = " ".join([*before, agent, *after]).encode("ascii", "replace")
        config = values.get("grpc.service_config")
        self._config = json.loads(config) if config else {}
        self._retries = bool(values.get("grpc.enable_retries", 1))
        self._methods: dict[str, MethodConfig] = {}
        throttling = self._config.get("retryThrottling")
        self.throttle = Throttle(throttling["maxTokens"], throttling["tokenRatio"]) if throttling else None

    def backoff(self, attempt: int) -> float:
        """How many seconds to wait after an attempt at connecting, of which the first is 1."""
        return random.uniform(0.8, 1.2) * min(
            self.first_backoff * _BACKOFF_FACTOR ** (attempt - 1), self.max_backoff
        )

    def method(self, path: str) -> MethodConfig:
        """What the service config says about a method, "/package.Service/Method"."""
        if path not in self._methods:
            self._methods[path] = self._find(path)
        return self._methods[path]

    def _find(self, path: str) -> MethodConfig:
        service, _, method = path.strip("/").rpartition("/")
        for wanted in {"service": service, "method": method}, {"service": service}, {}:
            for config in self._config.get("methodConfig", ()):
                names = ({key: value for key, value in name.items() if value} for name in config.get("name", ()))
                if any(name == wanted for name in names):
                    return self._method(config)
        return MethodConfig()

    def _method(self, config: Mapping[str, Any]) -> MethodConfig:
        retry = config.get("retryPolicy") if self._retries else None
        return MethodConfig(
            timeout=_seconds(config["timeout"]) if "timeout" in config else None,
            wait_for_ready=config.get("waitForReady"),
            retry=retry
            and RetryPolicy(
                attempts=min(int(retry["maxAttempts"]), _MOST_ATTEMPTS),
                first=_seconds(retry["initialBackoff"]),
                longest=_seconds(retry["maxBackoff"]),
                factor=float(retry["backoffMultiplier"]),
                codes=frozenset(map(_status, retry["retryableStatusCodes"])),
            ),
        )


def _milliseconds(value: Any) -> float | None:
    """An option in milliseconds, in seconds; None if it is not there, or means for ever."""
    return value / 1000 if value is not None and 0 < value < 2**31 - 1 else None


def _seconds(text: str) -> float:
    """A duration of protobuf's JSON, "0.1s"."""
    return float(text.removesuffix("s"))


def _status(code: str | int) -> StatusCode:
    if isinstance(code, str):
        return StatusCode[code.upper()]
    return next(status for status in StatusCode if status.value[0] == code)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What a channel connects to."""

    host: str
    port: int
    authority: str
    """As calls name it: without the scheme."""


def parse_target(target: str) -> Target:
    """The host and the port that a target names.

    # Errors

    ValueError for targets that this platform can't reach.
    """
    rest = target
    scheme, separator, after = target.partition(":")
    if separator and scheme in ("dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds", "google-c2p"):
        if scheme not in ("dns", "ipv4", "ipv6"):
            raise ValueError(f"{target}: connections are made by TCP only, to host:port, dns:, ipv4: or ipv6:")
        # dns://server/name: whose server is asked is not the function's choice.
        rest = unquote(re.sub(r"^//[^/]*/", "", after).lstrip("/")).split(",")[0]
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") > 1:
        host, port = rest, ""
    else:
        host, _, port = rest.partition(":")
    if not host or (port and not port.isdecimal()):
        raise ValueError(f"{target!r} is not a target: host:port is expected")
    return Target(host, int(port or _DEFAULT_PORT), rest)
