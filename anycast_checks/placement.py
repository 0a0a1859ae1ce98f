"""Where a VIP belongs on a host: one value, for the checks and the handler."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

LOOPBACK = "lo"
_IPV4_HOST, _IPV6_HOST = 32, 128


class Placement(NamedTuple):
    """The place where a VIP belongs on a host.

    Attributes:
        interface: the kernel's name of the interface, such as "lo".
        label: label of the address, such as "lo:0"; empty for none.
        prefix_length: prefix length of the address.
    """

    interface: str = LOOPBACK
    label: str = ""
    prefix_length: int = _IPV4_HOST

    @property
    def name(self) -> str:
        """Return the name that people and ifupdown use: the label, else the interface."""
        return self.label or self.interface

    def prefix(self, address: str) -> str:
        """Return an address with this prefix length, as `ip` writes it."""
        return f"{address}/{self.prefix_length}"


@cache
def place(address: str, name: str) -> Placement:
    """Return the place where a VIP belongs.

    Args:
        address: the VIP, as a literal address.
        name: name of its interface, or of an alias of the interface such as "lo:0".
    """
    interface, colon, _ = name.partition(":")
    length = _IPV6_HOST if ":" in address else _IPV4_HOST
    return Placement(interface, name if colon else "", length)
