"""The user database, which has one user, who owns all files."""

from operator import index
from typing import NamedTuple


class struct_passwd(NamedTuple):
    """An entry of the user database."""

    pw_name: str
    pw_passwd: str
    pw_uid: int
    pw_gid: int
    pw_gecos: str
    pw_dir: str
    pw_shell: str


# The only writable folder.
_root = struct_passwd("root", "x", 0, 0, "root", "/tmp", "/bin/sh")


def getpwuid(uid: int, /) -> struct_passwd:
    """Return the entry for a user id. Raises KeyError for others."""
    if index(uid) != _root.pw_uid:
        raise KeyError(f"getpwuid(): uid not found: {uid}")
    return _root


def getpwnam(name: str, /) -> struct_passwd:
    """Return the entry for a user name. Raises KeyError for others."""
    if not isinstance(name, str):
        raise TypeError(f"getpwnam() argument must be str, not {type(name).__name__}")
    if "\0" in name:
        raise ValueError("embedded null character")
    if name != _root.pw_name:
        raise KeyError(f"getpwnam(): name not found: {name!r}")
    return _root


def getpwall() -> list[struct_passwd]:
    """Return all entries."""
    return [_root]
