"""The address of a VIP and the interface that carries it, as the fleet file names them."""

from __future__ import annotations

import ipaddress
import string

from anycast_checks.placement import LOOPBACK, place

from .table import Table

LETTERS_AND_DIGITS = frozenset(string.ascii_letters + string.digits)
LONGEST_ALIAS, LONGEST_INTERFACE = 12, 15
# The kernel and Python write these addresses of IPv6 differently, so a VIP would not be recognised.
IN_TWO_SPELLINGS = (ipaddress.ip_network("::/96"), ipaddress.ip_network("::ffff:0:0/96"))
# These act by the name of an alias, and would take a whole interface down.
OF_ALIASES = ("ifupdown", "network-scripts")


def address(table: Table) -> str:
    """Read the VIP's address; raises ConfigurationError where it can be none."""
    text = table.take("address", str)
    found = table.read_ip("address", text)
    of_one_link = found.version == 6 and (found.is_link_local or "%" in text)
    twofold = any(found in one for one in IN_TWO_SPELLINGS)
    if found.is_loopback or found.is_unspecified or found.is_multicast or of_one_link or twofold:
        raise table.wrong("address", f"{text} cannot be an anycast address")
    return str(found)


def interface(table: Table, vip: str) -> str:
    """Read the interface of a VIP; raises ConfigurationError where it cannot carry it."""
    what = "lo, an alias of lo such as lo:0, or an interface such as anycast0"
    name = table.matching("interface", _is_interface, what)
    if ":" in vip and place(vip, name).label:
        raise table.wrong("interface", f"is an alias, and IPv6 has none: use {LOOPBACK}")
    return name


def networks(table: Table, key: str) -> tuple[str, ...]:
    """Read networks or addresses of routers; raises ConfigurationError for what is none."""
    return tuple(_network(table, key, one) for one in table.take(key, list, []))


def _network(table: Table, key: str, text: object) -> str:
    if not isinstance(text, str):
        raise table.wrong(key, "must be a list of networks or addresses")
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        like = "is no network of router-ids, such as 10.2.0.0/16 or 10.2.0.1"
        raise table.wrong(key, f"{text!r} {like}") from error


def activator(table: Table, names: tuple[str, ...], interface: str) -> str:
    """Read the activator of a VIP; raises ConfigurationError where it suits not the interface."""
    name = table.choice("activator", ("auto", *names), "auto")
    if name in OF_ALIASES and ":" not in interface:
        raise table.wrong("activator", f'{name} acts on aliases, and {interface} is none: use "ip"')
    return name


def _is_interface(text: str) -> bool:
    name, colon, alias = text.partition(":")
    if colon:
        sound = LETTERS_AND_DIGITS | {"_"} >= {*alias}
        return name == LOOPBACK and 1 <= len(alias) <= LONGEST_ALIAS and sound
    first = text[:1] in LETTERS_AND_DIGITS
    sound = LETTERS_AND_DIGITS | {"_", ".", "-"} >= {*text}
    return first and len(text) <= LONGEST_INTERFACE and sound
