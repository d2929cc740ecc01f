"""How a call, or an attempt at one, ended."""

from __future__ import annotations

import dataclasses

from ._codes import StatusCode
from ._metadata import Metadata


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a call."""

    code: StatusCode
    details: str = ""
    trailers: Metadata = ()
    unprocessed: bool = False
    """The server has not looked at the call, so that it may be made again."""

    @property
    def ok(self) -> bool:
        """Whether the call has succeeded."""
        return self.code is StatusCode.OK


class Failure(Exception):
    """Ends an attempt before it has reached a server."""

    def __init__(self, code: StatusCode, details: str, *, final: bool = False, unprocessed: bool = False) -> None:
        super().__init__(details)
        self.outcome = Outcome(code, details, unprocessed=unprocessed)
        self.final = final
        """Trying again later makes no difference."""
