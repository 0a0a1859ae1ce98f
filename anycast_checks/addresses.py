"""Where an address is on a host, from the output of `ip -json address show`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from .large import alone, load
from .placement import LOOPBACK, Placement

LONGEST_PREFIX = 128
# A host that has more could not say so in the bytes that are read of an answer.
MOST_ADDRESSES, LONGEST_NAME = 2000, 64
ARGV = ("/sbin/ip", "-json", "address", "show")
# The flags of an address of IPv6 that the host does not answer on: it is not known yet whether
# another host on the link has it, or another host has it. On a deprecated address it answers;
# many set `preferred_lft 0` on a VIP, so that the host does not use it as a source of its own.
DAD_FAILED, TENTATIVE = "dadfailed", "tentative"


def is_same(text: str, address: str) -> bool:
    """Whether a text is an address; many spellings are of one address of IPv6."""
    try:
        return ipaddress.ip_address(text) == ipaddress.ip_address(address)
    except ValueError:
        return False


class Assigned(NamedTuple):
    """An address on an interface of a host.

    Attributes:
        interface: the name of the interface, which may be down: the host answers all the same.
        address: the address.
        prefix_length: its prefix length.
        label: its label; empty where it has none.
        unready: DAD_FAILED or TENTATIVE where the host does not answer on it, else empty.
    """

    interface: str
    address: str
    prefix_length: int
    label: str = ""
    unready: str = ""

    def __str__(self) -> str:
        """Return the address with its prefix length, as `ip` writes it."""
        return f"{self.address}/{self.prefix_length}"


class Addresses(frozenset[Assigned]):
    """All addresses of a host; ``interfaces`` names all interfaces, also those without any."""

    interfaces: frozenset[str] = frozenset()

    def interfaces_with(self, address: str) -> tuple[str, ...]:
        """Return the names of the interfaces on which a host answers for an address, sorted."""
        there = (one for one in self if one.address == address and not one.unready)
        return tuple(sorted({one.interface for one in there}))

    def is_on(self, interface: str, address: str) -> bool:
        """Tell whether an interface is among these."""
        return interface in self.interfaces_with(address)

    def unready(self, address: str) -> tuple[Assigned, ...]:
        """Return where a host has an address, and does not answer on it."""
        return tuple(sorted(one for one in self if one.address == address and one.unready))

    def others_on(self, interface: str, address: str) -> frozenset[str]:
        """Return the other addresses of an interface, as address/length."""
        return frozenset(
            str(one) for one in self if one.interface == interface and one.address != address
        )

    def shares_label(self, placement: Placement, address: str) -> bool:
        """Tell whether another address of the VIP's interface has the label of the VIP too."""
        return any(
            one.interface == placement.interface
            and one.label == placement.name
            and one.address != address
            for one in self
        )


@alone
def read(shown: str) -> Addresses:
    """Read the output of the command ARGV.

    Raises:
        ValueError: the output does not have all the addresses of a host, or more than a host has.
    """
    try:
        interfaces = load(shown)
        if not any(interface["ifname"] == LOOPBACK for interface in interfaces):
            raise ValueError("no loopback in it")
        found = Addresses(islice(_assigned(interfaces), MOST_ADDRESSES + 1))
        if len(found) > MOST_ADDRESSES:
            raise ValueError(f"more than {MOST_ADDRESSES} addresses")
        found.interfaces = frozenset(_text(interface["ifname"]) for interface in interfaces)
        return found
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(repr(error)) from error


def _assigned(interfaces: Any) -> Iterable[Assigned]:
    for interface in interfaces:
        for entry in interface.get("addr_info", ()):
            if "local" in entry:
                yield Assigned(
                    _text(interface["ifname"]),
                    _text(entry["local"]),
                    _length(entry["prefixlen"]),
                    _text(entry.get("label", "")),
                    next((flag for flag in (DAD_FAILED, TENTATIVE) if entry.get(flag)), ""),
                )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text belongs")
    if len(value) > LONGEST_NAME:
        raise TypeError("a name that is too long")
    return value


def _length(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= LONGEST_PREFIX:
        raise TypeError("no length of a prefix")
    return value
