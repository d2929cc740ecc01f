"""Waiting for a channel to be connected."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from typing import Any

from ._codes import ChannelConnectivity
from ._interfaces import Channel, Future, FutureCancelledError, FutureTimeoutError


class _Ready(Future):
    """Is done when a channel has become ready."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition()  # guards what follows
        self._state: str | None = None  # "ready", "cancelled"
        self._callbacks: list[Callable[[Any], None]] = []
        channel.subscribe(self._update, try_to_connect=True)

    def _update(self, state: ChannelConnectivity) -> None:
        if state is ChannelConnectivity.READY:
            self._end("ready")

    def _end(self, state: str) -> bool:
        with self._changed:
            if self._state is not None:
                return False
            self._state = state
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        self._channel.unsubscribe(self._update)
        for callback in callbacks:
            callback(self)
        return True

    def cancel(self) -> bool:
        return self._end("cancelled")

    def cancelled(self) -> bool:
        return self._state == "cancelled"

    def running(self) -> bool:
        return self._state is None

    def done(self) -> bool:
        return self._state is not None

    def result(self, timeout: float | None = None) -> None:
        with self._changed:
            if not self._changed.wait_for(self.done, timeout):
                raise FutureTimeoutError
        if self.cancelled():
            raise FutureCancelledError

    def exception(self, timeout: float | None = None) -> None:
        self.result(timeout)

    def traceback(self, timeout: float | None = None) -> types.TracebackType | None:
        self.result(timeout)
        return None

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        with self._changed:
            if self._state is None:
                self._callbacks.append(fn)
                return
        fn(self)


def channel_ready_future(channel: Channel) -> Future:
    """A future that is done when a channel is connected."""
    return _Ready(channel)
