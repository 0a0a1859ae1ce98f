"""The endpoints of a VIP, as the fleet file names them, and what must not be in it twice."""

from __future__ import annotations

import string

from . import names
from .gathered import Gathered
from .table import Table
from .values import Endpoint, Jump, Vip

HEX = frozenset(string.hexdigits)


def endpoints(table: Table) -> tuple[Endpoint, ...]:
    """Read the endpoints of a VIP; raises ConfigurationError for what is wrong in them."""
    return tuple(_endpoint(name, table) for name in table.names())


def monitors(table: Table) -> tuple[Endpoint, ...]:
    """Read the monitoring hosts; raises ConfigurationError for what is wrong in them."""
    return tuple(_monitor(name, table) for name in table.names())


def _host(name: str, table: Table) -> Table:
    """Take the table of a host, for which its address may stand."""
    names.check_endpoint(table, name)
    value = table.take(name, object)
    if isinstance(value, str):
        value = {"address": value}
    if not isinstance(value, dict):
        raise table.wrong(name, "must be an address, or a table with address and port")
    return table.inner(name, value)


def _monitor(name: str, table: Table) -> Endpoint:
    inner = _host(name, table)
    host = Endpoint(name, _address(inner), _port(inner), jump=_jump(inner))
    inner.refuse_unknown()
    return host


def _endpoint(name: str, table: Table) -> Endpoint:
    inner = _host(name, table)
    endpoint = Endpoint(
        name,
        _address(inner),
        _port(inner),
        inner.take("never_withdraw", bool, default=False),
        _site(inner),
        _jump(inner),
    )
    inner.refuse_unknown()
    return endpoint


def _address(table: Table) -> str:
    text = table.take("address", str)
    address = table.read_ip("address", text)
    if address.is_unspecified or address.is_multicast:
        raise table.wrong("address", f"{text} cannot be a host's own address")
    # ::ffff:192.0.2.1 is the same address as 192.0.2.1, but a VIP would not be recognised in this
    # form.
    return str(getattr(address, "ipv4_mapped", None) or address)


def _port(table: Table) -> int:
    port = table.take("port", int, 22)
    if not 0 < port < 65536:
        raise table.wrong("port", f"{port} is not a port")
    return port


def _site(table: Table) -> str:
    site = table.take("site", str, "")
    if site:
        names.check_site(table, site)
    return site


def _jump(table: Table) -> Jump | None:
    text = table.take("jump", str, "")
    if not text:
        return None
    user, at, place = text.rpartition("@")
    host, colon, digits = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, digits = place, "22"
    is_six = host.startswith("[") and host.endswith("]") and ":" in host
    host = host[1:-1] if is_six else host
    letters = HEX | {":", "."} if is_six else names.LETTERS | names.DIGITS | {".", "-", "_"}
    # A name that begins with "-" would be an option where it gets to a command line.
    is_host = bool(host) and not host.startswith("-") and letters >= {*host}
    if not is_host or not names.is_port(digits) or (at and not names.is_login(user)):
        raise table.wrong("jump", f"{text!r} is not like bastion.example.net or user@192.0.2.1:22")
    return Jump(host, int(digits), user)


def refuse_clashes(top: Gathered, vips: tuple[Vip, ...]) -> None:
    """Refuse what is right in each VIP, and wrong in all of them together."""
    owner: dict[str, str] = {}
    for vip in vips:
        if vip.address in owner:
            raise top.wrong(f"vip.{vip.name}.address", f"is that of vip.{owner[vip.address]} too")
        owner[vip.address] = vip.name
    aliases: dict[tuple[str, str], str] = {}
    sites: dict[tuple[str, int], str] = {}
    jumps: dict[str, Jump | None] = {}
    for vip in vips:
        seen: dict[tuple[str, int], str] = {}
        for member in vip.endpoints:
            key = f"vip.{vip.name}.endpoints.{member.name}"
            if member.address in owner:
                raise top.wrong(
                    key, f"{member.address} is a VIP; SSH must go to an address of the host's own"
                )
            alias = (member.address, vip.interface)
            if vip.placement.label and aliases.setdefault(alias, vip.name) != vip.name:
                other = aliases[alias]
                what = f"{vip.interface} is that of vip.{other} on {member.name}"
                why = f"{what}: each VIP there needs an alias of its own"
                raise top.wrong(f"vip.{vip.name}.interface", why)
            site = sites.setdefault((member.address, member.port), member.site)
            if site != member.site:
                where = f"{site!r}" if site else "without a site"
                raise top.wrong(key, f"{member.address} is {where} in another VIP")
            # Host keys are pinned by address, so that it cannot be that of two hosts.
            if jumps.setdefault(member.address, member.jump) != member.jump:
                raise top.wrong(key, f"{member.address} has another jump elsewhere")
            twin = seen.setdefault((member.address, member.port), member.name)
            if twin != member.name:
                raise top.wrong(key, f"has the address of {twin}")
