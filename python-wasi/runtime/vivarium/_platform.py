"""What the platform lacks, in a form that functions can deal with.

CPython leaves out what the platform does not have, and an AttributeError from
the depths of the standard library is nothing that anybody expects. Here the
missing names are. They answer what can be answered, and otherwise raise what
they raise on a machine without a network and without other processes.

To be imported before anything that imports socket or shutil: both look at what
there is.
"""

from __future__ import annotations

import _socket
import errno
import os
import posix
import time
from collections.abc import Callable, Iterator
from operator import index
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

NO_NETWORK = "functions have no network here"

def _fill(module: ModuleType, names: dict[str, Any]) -> None:
    """Give a module the names that it lacks."""
    for name, value in names.items():
        if not hasattr(module, name):
            setattr(module, name, value)


# Names and addresses. A number needs nobody to look it up.

_LOOPBACK = "127.0.0.1"
_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")
_SERVICES = {
    "domain": 53, "ftp": 21, "http": 80, "https": 443, "imap2": 143, "imaps": 993, "ntp": 123,
    "pop3": 110, "pop3s": 995, "smtp": 25, "ssh": 22, "submission": 587, "telnet": 23,
}  # fmt: skip
_PROTOCOLS = {"icmp": 1, "ip": 0, "tcp": 6, "udp": 17}

# Linux's numbers, since nothing else is asked about them.
_CONSTANTS = {
    "AF_UNIX": 3,
    "AI_PASSIVE": 0x1, "AI_CANONNAME": 0x2, "AI_NUMERICHOST": 0x4, "AI_V4MAPPED": 0x8,
    "AI_ALL": 0x10, "AI_ADDRCONFIG": 0x20, "AI_NUMERICSERV": 0x400,
    "EAI_ADDRFAMILY": -9, "EAI_AGAIN": -3, "EAI_BADFLAGS": -1, "EAI_FAIL": -4,
    "EAI_FAMILY": -6, "EAI_MEMORY": -10, "EAI_NODATA": -5, "EAI_NONAME": -2,
    "EAI_OVERFLOW": -12, "EAI_SERVICE": -8, "EAI_SOCKTYPE": -7, "EAI_SYSTEM": -11,
    "NI_DGRAM": 16, "NI_MAXHOST": 1025, "NI_MAXSERV": 32, "NI_NAMEREQD": 8, "NI_NOFQDN": 4,
    "NI_NUMERICHOST": 1, "NI_NUMERICSERV": 2,
    "MSG_DONTWAIT": 0x40, "MSG_NOSIGNAL": 0x4000, "MSG_OOB": 0x1, "MSG_TRUNC": 0x20,
    "SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2, "SOCK_RAW": 3, "SOL_SOCKET": 1, "SOMAXCONN": 4096,
    "SO_ACCEPTCONN": 30, "SO_BROADCAST": 6, "SO_DEBUG": 1, "SO_DONTROUTE": 5, "SO_ERROR": 4,
    "SO_KEEPALIVE": 9, "SO_LINGER": 13, "SO_OOBINLINE": 10, "SO_RCVBUF": 8, "SO_RCVTIMEO": 20,
    "SO_REUSEADDR": 2, "SO_REUSEPORT": 15, "SO_SNDBUF": 7, "SO_SNDTIMEO": 21, "SO_TYPE": 3,
    "IPPROTO_ICMP": 1, "IPPROTO_IP": 0, "IPPROTO_IPV6": 41, "IPPROTO_RAW": 255,
    "IPPROTO_TCP": 6, "IPPROTO_UDP": 17, "IPV6_V6ONLY": 26, "IP_TOS": 1, "IP_TTL": 2,
    "SOL_IP": 0, "SOL_TCP": 6, "SOL_UDP": 17, "TCP_KEEPCNT": 6, "TCP_KEEPIDLE": 4,
    "TCP_KEEPINTVL": 5, "TCP_MAXSEG": 2, "TCP_NODELAY": 1, "TCP_USER_TIMEOUT": 18,
    "INADDR_ANY": 0, "INADDR_BROADCAST": 0xFFFFFFFF, "INADDR_LOOPBACK": 0x7F000001,
}  # fmt: skip


def _unresolved(message: str = NO_NETWORK) -> NoReturn:
    raise _socket.gaierror(_socket.EAI_FAIL, message)


def _text(name: Any) -> str:
    if isinstance(name, (bytes, bytearray)):
        return name.decode("ascii")
    if not isinstance(name, str):
        raise TypeError(f"str, bytes or bytearray expected, not {type(name).__name__}")
    return name


def _addresses(host: str) -> Iterator[tuple[int, str]]:
    """The family and the usual form of the address that a text is, if it is one."""
    try:
        yield _socket.AF_INET, _socket.inet_ntop(_socket.AF_INET, _socket.inet_aton(host))
    except OSError:
        if ":" not in host:
            return
        # Built without IPv6, _socket can't say.
        from ipaddress import AddressValueError, IPv6Address

        try:
            yield _socket.AF_INET6, str(IPv6Address(host))
        except AddressValueError:
            return


def _port(service: Any) -> int:
    if service is None:
        return 0
    if isinstance(service, int):
        return service & 0xFFFF
    name = _text(service)
    if name.isascii() and name.isdigit():
        return int(name) & 0xFFFF
    if name not in _SERVICES:
        raise _socket.gaierror(_socket.EAI_SERVICE, "Servname not supported for ai_socktype")
    return _SERVICES[name]


def _getaddrinfo(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[tuple]:
    if host is None and port is None:
        raise _socket.gaierror(_socket.EAI_NONAME, "Name or service not known")
    number = _port(port)
    name = "" if host is None else _text(host)
    if name == "":
        passive = flags & _socket.AI_PASSIVE
        found = [
            (_socket.AF_INET, "0.0.0.0" if passive else _LOOPBACK),
            (_socket.AF_INET6, "::" if passive else "::1"),
        ]
    else:
        found = list(_addresses(name))
    if not found and flags & _socket.AI_NUMERICHOST:
        raise _socket.gaierror(_socket.EAI_NONAME, "Name or service not known")
    if not found and name.lower() in _NAMES:
        found = [(_socket.AF_INET, _LOOPBACK)]
    if not found:
        _unresolved()
    kinds = [
        (kind, default)
        for kind, default in ((_socket.SOCK_STREAM, 6), (_socket.SOCK_DGRAM, 17), (_socket.SOCK_RAW, 0))
        if type in (0, kind) and proto in (0, default or proto)
    ]
    answer = [
        (which, kind, proto or default, name if flags & _socket.AI_CANONNAME else "",
         (address, number) if which == _socket.AF_INET else (address, number, 0, 0))
        for which, address in found
        if family in (0, which)
        for kind, default in kinds
    ]  # fmt: skip
    if not answer:
        raise _socket.gaierror(_socket.EAI_FAMILY, "Address family for hostname not supported")
    return answer


def _gethostbyname(hostname: Any) -> str:
    return _getaddrinfo(hostname, 0, _socket.AF_INET, _socket.SOCK_STREAM)[0][4][0]


def _gethostbyname_ex(hostname: Any) -> tuple[str, list[str], list[str]]:
    return _text(hostname), [], [_gethostbyname(hostname)]


def _gethostbyaddr(ip_address: Any) -> tuple[str, list[str], list[str]]:
    address = _getaddrinfo(ip_address, 0, 0, _socket.SOCK_STREAM)[0][4][0]
    if not address.startswith("127.") and address != "::1":
        raise _socket.herror(1, "Unknown host")
    return _gethostname(), [], [address]


def _getnameinfo(sockaddr: tuple, flags: int) -> tuple[str, str]:
    host, port = sockaddr[:2]
    found = [address for _, address in _addresses(_text(host))]
    if not found or not flags & _socket.NI_NUMERICHOST:
        _unresolved()
    return found[0], str(port)


def _gethostname() -> str:
    return "localhost"


def _getservbyname(servicename: str, protocolname: str = "") -> int:
    if servicename not in _SERVICES:
        raise OSError("service/proto not found")
    return _SERVICES[servicename]


def _getservbyport(port: int, protocolname: str = "") -> str:
    for name, number in _SERVICES.items():
        if number == port:
            return name
    raise OSError("port/proto not found")


def _getprotobyname(protocolname: str) -> int:
    if protocolname not in _PROTOCOLS:
        raise OSError("protocol not found")
    return _PROTOCOLS[protocolname]


def _inet_ntoa(packed_ip: Any) -> str:
    return _socket.inet_ntop(_socket.AF_INET, packed_ip)


_fill(_socket, _CONSTANTS)
_fill(
    _socket,
    {
        "getaddrinfo": _getaddrinfo,
        "gethostbyaddr": _gethostbyaddr,
        "gethostbyname": _gethostbyname,
        "gethostbyname_ex": _gethostbyname_ex,
        "gethostname": _gethostname,
        "getnameinfo": _getnameinfo,
        "getprotobyname": _getprotobyname,
        "getservbyname": _getservbyname,
        "getservbyport": _getservbyport,
        "if_nameindex": lambda: [(1, "lo")],
        "inet_ntoa": _inet_ntoa,
    },
)


# Users and processes: one of each.


def _zero() -> int:
    return 0


def _own(pid: int = 0, /) -> int:
    if pid not in (0, os.getpid()):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return os.getpid()


def _kill(pid: int, signal: int, /) -> None:
    _own(pid)
    if signal != 0:
        from signal import raise_signal

        raise_signal(signal)


def _getlogin() -> NoReturn:
    raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))


def _chown(
    path: Any, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True
) -> None:
    """Leave a file to the one user that there is.

    To refuse other owners would stop tarfile, which asks for them as root, before
    it has set modes and times.
    """
    index(uid), index(gid)
    os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def _lchown(path: Any, uid: int, gid: int) -> None:
    _chown(path, uid, gid, follow_symlinks=False)


def _fchown(fd: int, uid: int, gid: int) -> None:
    _chown(fd, uid, gid)


def _without(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise OSError(errno.ENOSYS, f"{what} on this platform")

    return refuse


_of_os = {
    "chown": _chown,
    "fchown": _fchown,
    "getegid": _zero,
    "geteuid": _zero,
    "getgid": _zero,
    "getgroups": lambda: [0],
    "getlogin": _getlogin,
    "getpgid": _own,
    "getpgrp": lambda: _own(),
    "getppid": _zero,
    "getsid": _own,
    "getuid": _zero,
    "kill": _kill,
    "lchown": _lchown,
    "pipe": _without("there are no pipes"),
    "sched_getaffinity": lambda pid, /: {0},
    "sync": lambda: None,
    "system": _without("no program can be started"),
}
_fill(posix, _of_os)  # which is where os has its functions from
_fill(os, _of_os)


# There is one thread: its clock is the process's.

_known_clock = time.get_clock_info


def _get_clock_info(name: str, /) -> SimpleNamespace:
    """Return what is known of a clock."""
    return _known_clock("process_time" if name == "thread_time" else name)


time.get_clock_info = _get_clock_info
_fill(time, {"thread_time": time.process_time, "thread_time_ns": time.process_time_ns})
