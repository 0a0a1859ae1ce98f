"""The route by which a host goes on answering for a VIP that has left its interface.

`anycast-handler` adds it for a planned withdrawal, and takes it away when no client comes any more.
The kernel calls the address local as long as it is there. Standard library only.
"""

import functools
import socket
import struct
import threading
from typing import NamedTuple

# No routing daemon uses this protocol number, by which the route is recognised. The metric lets it
# stand beside the route that the kernel makes for an address, which comes first.
PROTOCOL, METRIC = 153, 153
_GET_ROUTE, _NEW_ROUTE = 26, 24  # RTM_GETROUTE, RTM_NEWROUTE of <linux/rtnetlink.h>
_REQUEST = 1  # NLM_F_REQUEST
_MATCHING = 0x2000  # RTM_F_FIB_MATCH: the very route of the table, since Linux 4.15
_DESTINATION = 1  # RTA_DST
_LOCAL = 2  # RTN_LOCAL
_HEADER, _ROUTE, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=8BI"), struct.Struct("=HH")
_LARGEST = 8192


class _Route(NamedTuple):
    """A route of the kernel: the daemon that has made it, and what becomes of its packets."""

    protocol: int
    kind: int


class _Kernel:
    """Asks the kernel by a socket that stays open; to open one costs more than to ask."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def __del__(self) -> None:
        self._socket.close()

    def ask(self, question: bytes) -> bytes:
        """Ask. Raises: OSError, after which this one may hear an answer too late."""
        # The kernel has answered before it returns from here.
        self._socket.sendto(question, (0, 0))
        return self._socket.recv(_LARGEST)


# One for each thread, so that each hears its own answers.
_kept = threading.local()


def is_draining(address: str) -> bool:
    """Tell whether a host answers for an address by the route of a planned withdrawal alone.

    It is False where the kernel is too old to say it, or says nothing.
    """
    try:
        found = _route_to(address)
    except OSError:
        return False
    return found == _Route(PROTOCOL, _LOCAL)


def _open() -> _Kernel:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    return _Kernel(socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE))


def _route_to(address: str) -> _Route | None:
    kernel, _kept.kernel = getattr(_kept, "kernel", None) or _open(), None
    said = kernel.ask(_question(address))
    _kept.kernel = kernel
    if len(said) < _HEADER.size + _ROUTE.size or _HEADER.unpack_from(said)[1] != _NEW_ROUTE:
        return None
    _, _, _, _, _, protocol, _, what, _ = _ROUTE.unpack_from(said, _HEADER.size)
    return _Route(protocol, what)


@functools.lru_cache(maxsize=8)
def _question(address: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    body = _ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, _MATCHING)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _DESTINATION) + packed
    head = _HEADER.pack(_HEADER.size + len(body), _GET_ROUTE, _REQUEST, 1, 0)
    return head + body
