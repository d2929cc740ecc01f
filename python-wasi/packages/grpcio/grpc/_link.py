"""A blocking channel's way to its server: one connection, made when it is needed."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from . import _invocation
from ._blocking import Connection, connect
from ._codes import ChannelConnectivity
from ._credentials import ChannelCredentials
from ._failure import Failure
from ._interfaces import AuthMetadataContext, AuthMetadataPlugin
from ._invocation import CLOSED, LATE, Invocation
from ._options import Options

_Watcher = Callable[[ChannelConnectivity], None]

_log = logging.getLogger(__name__)


class _Lock:
    """A lock for coroutines that never suspend."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(self, *exception: object) -> None:
        self._lock.release()


class Link(_invocation.Link):
    """What calls of a blocking channel share. For all threads."""

    def __init__(self, target: str, options: Options, credentials: ChannelCredentials | None) -> None:
        super().__init__(target, options, credentials)
        self._changed = threading.Condition()  # guards all below, and the state
        self._connection: Connection | None = None
        self._connecting = False
        self._calls: weakref.WeakSet[Invocation] = weakref.WeakSet()
        self._watchers: list[_Watcher] = []
        self._news: deque[tuple[_Watcher, ChannelConnectivity]] = deque()

    def invocation(self, *arguments: Any) -> Invocation:
        """A new call.

        # Errors

        ValueError if the channel is closed, or for metadata that can't be sent.
        """
        if self.closed:
            raise ValueError("Cannot invoke RPC on closed channel!")
        call = Invocation(self, *arguments)
        with self._changed:
            self._calls.add(call)
        return call

    def close(self) -> None:
        """End all calls and the connection."""
        with self._changed:
            self.closed = True
            calls, connection = list(self._calls), self._connection
            self._connection = None
            self._tell(ChannelConnectivity.SHUTDOWN)
            self._changed.notify_all()
        for call in calls:
            call.cancel(CLOSED)
        if connection is not None:
            connection.close(CLOSED)

    # What calls need.

    async def sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.closed, seconds)

    def lock(self) -> _Lock:
        return _Lock()

    async def ask(self, plugin: AuthMetadataPlugin, context: AuthMetadataContext, deadline: float | None) -> Any:
        got: list[tuple[Any, Exception | None]] = []
        came = threading.Event()

        def callback(metadata: Any, error: Exception | None) -> None:
            got.append((metadata, error))
            came.set()

        plugin(context, callback)  # type: ignore[arg-type]
        if not came.wait(None if deadline is None else max(deadline - time.monotonic(), 0)):
            raise Failure(LATE.code, LATE.details)
        metadata, error = got[0]
        if error is not None:
            raise error
        return metadata

    async def connected(self, deadline: float | None) -> Connection:
        while True:
            with self._changed:
                while self._connecting and not self.closed:
                    if not self._changed.wait(None if deadline is None else max(deadline - time.monotonic(), 0)):
                        raise Failure(LATE.code, LATE.details)
                if self.closed:
                    raise Failure(CLOSED.code, CLOSED.details)
                connection = self._connection
                if connection is None or not connection.usable:
                    connection = None
                    self._connecting = True
                    self._tell(ChannelConnectivity.CONNECTING)
            if connection is None:
                return self._connect(deadline)
            if connection.refresh():
                return connection

    def _connect(self, deadline: float | None) -> Connection:
        state = ChannelConnectivity.TRANSIENT_FAILURE
        connection = None
        try:
            connection = connect(self.target, self.tls, self.options, deadline)
            state = ChannelConnectivity.READY
            return connection
        finally:
            with self._changed:
                self._connecting = False
                if not self.closed:
                    self._connection = connection
                    self._tell(state)
                self._changed.notify_all()

    # Connectivity.

    def watch(self, callback: _Watcher) -> None:
        """Have a function called, in a thread of its own, with the state now and whenever it changes."""
        with self._changed:
            self._watchers.append(callback)
            self._deliver([callback])

    def unwatch(self, callback: _Watcher) -> None:
        """End that."""
        with self._changed:
            self._watchers = [watcher for watcher in self._watchers if watcher is not callback]

    def _tell(self, state: ChannelConnectivity) -> None:
        if state is not self.state:
            self.state = state
            self._deliver(self._watchers)

    def _deliver(self, watchers: list[_Watcher]) -> None:
        idle = not self._news
        self._news += [(watcher, self.state) for watcher in watchers]
        if idle and self._news:
            threading.Thread(target=self._tell_news, daemon=True).start()

    def _tell_news(self) -> None:
        while self._news:
            watcher, state = self._news[0]
            try:
                watcher(state)
            except Exception:
                _log.exception("a subscriber to a channel's state has failed")
            with self._changed:
                self._news.popleft()
