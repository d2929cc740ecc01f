"""What the platform lacks, in a form that functions can deal with.

CPython leaves out what the platform does not have, and an AttributeError from
the depths of the standard library is nothing that anybody expects. Here the
missing calls are, and raise what they raise on a machine without a network.

To be imported before anything that imports socket.
"""

from __future__ import annotations

import _socket
from typing import Any, NoReturn


def _unresolved(*args: Any, **kwargs: Any) -> NoReturn:
    raise _socket.gaierror(_socket.EAI_FAIL, "names are not resolved on this platform")


def _host_name() -> str:
    return "localhost"


for _name, _substitute in {
    "getaddrinfo": _unresolved,
    "getnameinfo": _unresolved,
    "gethostbyaddr": _unresolved,
    "gethostbyname": _unresolved,
    "gethostbyname_ex": _unresolved,
    "gethostname": _host_name,
}.items():
    if not hasattr(_socket, _name):
        setattr(_socket, _name, _substitute)
