"""Whether an address is on this host; standard library only.

A socket that is connected to an address of this host gets that same address as its own source
address; a socket that is connected to any other address does not.
"""

import enum
import errno
import socket
from typing import TypeVar

from .errors import (
    CheckError,
    NotLocalError,
)
from .local_route import is_draining

T = TypeVar("T")

_NO_ROUTE = {
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EADDRNOTAVAIL,  # IPv6 without any address
    errno.EINVAL,  # a blackhole route
    # A prohibit route or rule. A security module may say the same, but of every address: then the
    # instance address is not local either, and the check is UNKNOWN.
    errno.EACCES,
}
# A number, because to join two flags of Python costs more than the system call.
_NONBLOCK = int(socket.SOCK_NONBLOCK)
_ANY_PORT = 9  # connecting a UDP socket sends nothing, so any port will do


class Locality(enum.Enum):
    """Whether an address is on this host."""

    LOCAL = "local"
    NOT_LOCAL = "not local"
    # Only by the route of a planned withdrawal: the address has left its interface.
    DRAINING = "draining"
    UNKNOWN = "cannot tell"


def locality(address: str) -> Locality:
    """Tell whether the literal address is on this host; nothing is sent."""
    return _look(address)[0]


def is_ipv6(address: str) -> bool:
    """Tell whether a literal address is one of IPv6."""
    return ":" in address


def require_local(address: str) -> None:
    """Raise NotLocalError if the address is not on this host, CheckError if nothing shows it."""
    found, reason = _look(address)
    if found is Locality.UNKNOWN:
        raise CheckError(f"cannot tell whether {address} is on this host: {reason}")
    if found in (Locality.NOT_LOCAL, Locality.DRAINING):
        raise NotLocalError(address)


def _look(address: str) -> tuple[Locality, str]:
    found, reason = _look_at_name(address)
    # A host answers on such an address of IPv6 as well, but gives its own sockets another name.
    if found in (Locality.LOCAL, Locality.NOT_LOCAL) and is_draining(address):
        return Locality.DRAINING, reason
    return found, reason


def _look_at_name(address: str) -> tuple[Locality, str]:
    try:
        with open_socket(address, socket.SOCK_DGRAM) as sock:
            sock.connect((address, _ANY_PORT))
            name = sock.getsockname()[0]
    except CheckError as error:
        return Locality.UNKNOWN, str(error)
    except OSError as error:
        found = Locality.NOT_LOCAL if error.errno in _NO_ROUTE else Locality.UNKNOWN
        return found, (error.strerror or str(error)).lower()
    return (Locality.LOCAL if is_name_of(name, address) else Locality.NOT_LOCAL), name


def open_socket(address: str, kind: socket.SocketKind) -> socket.socket:
    """Open a socket that never waits, for the family of an address. Raises: CheckError."""
    family = socket.AF_INET6 if is_ipv6(address) else socket.AF_INET
    try:
        return socket.socket(family, int(kind) | _NONBLOCK)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckError(f"cannot open a socket: {reason}") from error


def is_name_of(name: str, address: str) -> bool:
    """Tell whether the name of a socket is an address; IPv6 has many spellings of each."""
    if is_ipv6(name) or is_ipv6(address):
        family = socket.AF_INET6
        return socket.inet_pton(family, name) == socket.inet_pton(family, address)
    # All of 127.0.0.0/8 is on this host, and has the source address 127.0.0.1.
    return name == address or (name.startswith("127.") and address.startswith("127."))
