"""The group database, which has one group."""

from operator import index
from typing import NamedTuple


class struct_group(NamedTuple):
    """An entry of the group database."""

    gr_name: str
    gr_passwd: str
    gr_gid: int
    gr_mem: list[str]


def getgrgid(id: int) -> struct_group:
    """Return the entry for a group id. Raises KeyError for others."""
    if index(id) != 0:
        raise KeyError(f"getgrgid(): gid not found: {id}")
    return struct_group("root", "x", 0, [])


def getgrnam(name: str) -> struct_group:
    """Return the entry for a group name. Raises KeyError for others."""
    if not isinstance(name, str):
        raise TypeError(f"getgrnam() argument 'name' must be str, not {type(name).__name__}")
    if "\0" in name:
        raise ValueError("embedded null character")
    if name != "root":
        raise KeyError(f"getgrnam(): name not found: {name!r}")
    return getgrgid(0)


def getgrall() -> list[struct_group]:
    """Return all entries."""
    return [getgrgid(0)]
