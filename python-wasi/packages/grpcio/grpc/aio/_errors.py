"""What asyncio's calls raise."""

from __future__ import annotations

from typing import Any

from .._codes import StatusCode
from .._interfaces import RpcError
from ._metadata import Metadata


class BaseError(Exception):
    """The parent of this module's errors of use."""


class UsageError(BaseError):
    """A call is used in a wrong way."""


class AbortError(BaseError):
    """A server's handler ends a call."""


class InternalError(BaseError):
    """Something is wrong in this library."""


class AioRpcError(RpcError):
    """A call has failed."""

    def __init__(
        self,
        code: StatusCode,
        initial_metadata: Metadata,
        trailing_metadata: Metadata,
        details: str | None = None,
        debug_error_string: str | None = None,
    ) -> None:
        super().__init__()
        self._code = code
        self._initial_metadata = initial_metadata
        self._trailing_metadata = trailing_metadata
        self._details = details
        self._debug_error_string = debug_error_string

    def code(self) -> StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def initial_metadata(self) -> Metadata:
        return self._initial_metadata

    def trailing_metadata(self) -> Metadata:
        return self._trailing_metadata

    def debug_error_string(self) -> str:
        return self._debug_error_string or ""

    def __str__(self) -> str:
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {self._code}\n"
            f'\tdetails = "{self._details}"\n'
            f'\tdebug_error_string = "{self._debug_error_string}"\n>'
        )

    __repr__ = __str__

    def __reduce__(self) -> Any:
        return type(self), (
            self._code, self._initial_metadata, self._trailing_metadata, self._details, self._debug_error_string
        )  # fmt: skip
