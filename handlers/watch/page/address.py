"""The address that the page listens on."""

from __future__ import annotations

import errno
import ipaddress
import socket

from ...errors import ConfigurationError

# The kernel ends the connection of a client that reads nothing for so many milliseconds.
UNREAD = 20_000


class NotFreeError(ConfigurationError):
    """Somebody else has the address, or this host does not have it; another time it may work."""


def bound(listen: str) -> tuple[socket.socket, bool]:
    """Bind the address; returns the socket, and whether only this host can reach it.

    Raises:
        ConfigurationError: it cannot be used.
        NotFreeError: it cannot be used now.
    """
    text, _, port = listen.rpartition(":")
    try:
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError as error:
        what = f"--listen {listen}: is not an address and a port"
        raise ConfigurationError(what, "such as 127.0.0.1:9853") from error
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The connections inherit it.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)
        made.bind((str(address), number))
    except (OSError, OverflowError) as error:
        made.close()
        why = getattr(error, "strerror", None) or str(error)
        is_now = getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
        kind = NotFreeError if is_now else ConfigurationError
        raise kind(f"--listen {listen}: {why}", "choose another one") from error
    return made, address.is_loopback
