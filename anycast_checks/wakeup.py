"""What the kernel tells at once: a socket of the service was closed, the VIP came or went.

Neither is evidence. Each is only a reason to ask now instead of later. Both are told to any user,
by netlink sockets, and only for the network namespace of this process. Standard library only.
"""

import contextlib
import socket
import struct
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .address import is_ipv6

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG of <linux/netlink.h>
_DESTROYED = 0b1111  # the groups for TCP and UDP of both families, of <linux/sock_diag.h>
_ADDRESSES = {socket.AF_INET: 0x10, socket.AF_INET6: 0x100}  # RTMGRP_..._IFADDR
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
# A message has a struct nlmsghdr of 16 bytes, then a struct inet_diag_msg, then the attributes.
_OWN_PORT, _PEER_PORT, _FIRST_ATTRIBUTE = 20, 22, 16 + 72
_PROTOCOL = 10  # INET_DIAG_PROTOCOL
_NAMES = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}
# Codes of the classic BPF: load 16 bits, jump if equal, return.
_LOAD, _JUMP, _RETURN = 0x28, 0x15, 0x06
_WHOLE = 0xFFFF
_TRIAL = 0.5  # seconds; a trial takes less than 1 ms where the kernel has time


class Woken(NamedTuple):
    """What the kernel has told.

    Attributes:
        died: whether a socket of the service was closed, or something was told that got lost.
        moved: whether the VIP came or went.
    """

    died: bool
    moved: bool


class Wakeups:
    """The sockets by which the kernel tells; where it cannot, there are fewer of them.

    Attributes:
        names: what is told: "address", "tcp", "udp".
        overruns: how often the kernel had more to tell than there was room for.
    """

    def __init__(self, address: str, ports: Sequence[int]) -> None:
        """Listen for the VIP, and for the sockets of the service on these ports."""
        family = socket.AF_INET6 if is_ipv6(address) else socket.AF_INET
        self._packed = socket.inet_pton(family, address)
        self.overruns = 0
        self._moves = _listen(socket.NETLINK_ROUTE, _ADDRESSES[family])
        self._deaths, told = _listen_for_deaths(ports) if ports else (None, ())
        self.names = (*(("address",) if self._moves else ()), *told)

    @property
    def numbers(self) -> list[int]:
        """The file descriptors to poll."""
        return [one.fileno() for one in (self._moves, self._deaths) if one]

    def read(self) -> Woken:
        """Read all that the kernel has told by now."""
        deaths = list(self._messages(self._deaths))
        moves = list(self._messages(self._moves))
        return Woken(bool(deaths), any(not data or self._packed in data for data in moves))

    def close(self) -> None:
        """Listen no longer."""
        for one in (self._moves, self._deaths):
            if one:
                one.close()

    def _messages(self, told: socket.socket | None) -> Iterator[bytes]:
        """Yield all messages, and an empty one where some were lost."""
        while told:
            try:
                yield told.recv(_WHOLE)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS
                self.overruns += 1
                yield b""


def _listen(protocol: int, groups: int, ports: Sequence[int] = ()) -> socket.socket | None:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        made = socket.socket(socket.AF_NETLINK, kind, protocol)
    except OSError:
        return None
    try:
        if ports:
            _only(made, ports)
        made.bind((0, groups))
    except OSError:
        made.close()
        return None
    return made


def _listen_for_deaths(ports: Sequence[int]) -> tuple[socket.socket | None, tuple[str, ...]]:
    """Listen, and return what was told of a socket for TCP and of one for UDP in a trial.

    Where the kernel's modules for this are missing, it takes the order and tells nothing.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
    ):
        trials = (datagrams, listener)
        try:
            for trial in trials:
                trial.bind(("127.0.0.1", 0))
            listener.listen()
        except OSError:
            return None, ()
        made = _listen(_SOCK_DIAG, _DESTROYED, [trial.getsockname()[1] for trial in trials])
    if made is None:
        return None, ()
    told = _told_in_trial(made)
    with contextlib.suppress(OSError):
        _only(made, ports)
        return made, told
    made.close()
    return None, ()


def _told_in_trial(made: socket.socket) -> tuple[str, ...]:
    until = time.monotonic() + _TRIAL
    found: set[str] = set()
    while len(found) < len(_NAMES) and (left := until - time.monotonic()) > 0:
        made.settimeout(left)
        with contextlib.suppress(OSError):
            found.add(_NAMES.get(_protocol(made.recv(_WHOLE)), ""))
    made.settimeout(0)
    return tuple(name for name in _NAMES.values() if name in found)


def _protocol(message: bytes) -> int:
    at = _FIRST_ATTRIBUTE
    while at + 5 <= len(message):
        length, kind = struct.unpack_from("HH", message, at)
        if kind == _PROTOCOL:
            return message[at + 4]
        at += max(4, (length + 3) & ~3)
    return 0


def _only(told: socket.socket, ports: Sequence[int]) -> None:
    """Let the kernel drop every message but those of sockets on these ports that have no peer.

    A busy resolver closes thousands of sockets a second, and each would wake this process.
    """
    drop, count = (_RETURN, 0, 0, 0), len(ports)
    jumps = [(_JUMP, count - n, 0, port) for n, port in enumerate(ports)]
    program = [(_LOAD, 0, 0, _OWN_PORT), *jumps, drop]
    program += [(_LOAD, 0, 0, _PEER_PORT), (_JUMP, 0, 1, 0), (_RETURN, 0, 0, _WHOLE), drop]
    code = array("B", b"".join(struct.pack("HBBI", *one) for one in program))
    address, _ = code.buffer_info()
    told.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program), address))
