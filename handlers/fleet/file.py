"""The fleet file: reading it, and refusing what is wrong in it by file, key and reason."""

from __future__ import annotations

from collections.abc import Sequence

from . import engines, names, placed
from .gathered import ENDPOINTS, Gathered, read
from .members import endpoints, monitors, refuse_clashes
from .table import Table
from .values import Fleet, Paths, Ssh, StreamSettings, Vip, Watch

# The command of a person waits so long.
LONGEST_DRAIN = 600
MOST_ENDPOINTS = 10_000
LONGEST_NUMBER = len(str(MOST_ENDPOINTS))


def load(file: str, activators: Sequence[str]) -> Fleet:
    """Read and check the fleet file.

    Args:
        file: its path.
        activators: the names that a VIP's activator may have, besides "auto".

    Raises:
        ConfigurationError: something is wrong; it names file, key and reason of the first error.
    """
    top = Table(file, "", read(file))
    ssh = _ssh(top.table("ssh"))
    paths = _paths(top.table("paths", required=False))
    watch = engines.watch(top.table("watch", required=False))
    gathered = Gathered(top, file)
    vips = tuple(_vip(*one, activators, watch) for one in gathered.vips())
    keys = top.names()
    icinga = engines.icinga(top.table("icinga")) if "icinga" in keys else None
    nagios = engines.nagios(top.table("nagios")) if "nagios" in keys else None
    of_us = monitors(top.table("monitors", required=False))
    top.refuse_unknown()
    if not vips:
        raise top.wrong("vip", "needs at least one VIP, as [vip.NAME]")
    refuse_clashes(gathered, vips)
    return Fleet(file, ssh, vips, paths, watch, icinga, nagios, gathered.included, of_us)


def _ssh(table: Table) -> Ssh:
    ssh = Ssh(
        user=table.matching("user", names.is_login, "a login name"),
        identity=table.path("identity"),
        known_hosts=table.path("known_hosts"),
    )
    table.refuse_unknown()
    return ssh


def _paths(table: Table) -> Paths:
    default = Paths()
    paths = Paths(
        state=table.path("state", default.state),
        log=table.path("log", default.log),
        stop=table.path("stop", default.stop),
    )
    table.refuse_unknown()
    return paths


def _vip(
    name: str, table: Table, members: list[Table], activators: Sequence[str], watch: Watch
) -> Vip:
    address = placed.address(table)
    interface = placed.interface(table, address)
    vip = Vip(
        name=name,
        address=address,
        interface=interface,
        check=_check(table),
        endpoints=(),
        restore=table.choice("restore", ("auto", "manual"), "auto"),
        hold_down=_at_least(table, "hold_down", table.take("hold_down", float, 60.0), 0),
        max_restores=int(_at_least(table, "max_restores", table.take("max_restores", int, 3), 0)),
        activator=placed.activator(table, tuple(activators), interface),
        min_announcing=_min_announcing(table),
        min_announcing_per_site=_min_announcing_per_site(table),
        routing=table.choice("routing", ("auto", "ospf", "bgp", "none"), "auto"),
        count_by=table.choice("count_by", ("auto", "ospf", "peers"), "auto"),
        spacing=_at_least(table, "spacing", table.take("spacing", float, 5.0), 0),
        stream=_stream(table.table("stream", required=False), watch),
        drain=_drain(table),
        also_announced_by=placed.networks(table, "also_announced_by"),
    )
    if vip.count_by == "ospf" and vip.routing in ("bgp", "none"):
        raise table.wrong("count_by", f'is "ospf", and routing is "{vip.routing}": use "peers"')
    # Where no file has endpoints, it says so, and names a key that is nearly called so.
    members = members or [table.table(ENDPOINTS)]
    table.refuse_unknown()
    found = tuple(one for some in members for one in endpoints(some))
    if not found:
        raise table.wrong(ENDPOINTS, "needs at least one endpoint")
    alone = next((e.name for e in found if not e.site), "")
    if vip.min_announcing_per_site and alone:
        raise table.wrong("min_announcing_per_site", f"endpoints.{alone} has no site")
    return vip._replace(endpoints=found)


def _stream(table: Table, watch: Watch) -> StreamSettings:
    stream = engines.stream(table, watch.stream)
    table.refuse_unknown()
    return stream


def _check(table: Table) -> tuple[str, ...]:
    check = table.take("check", list)
    if not check or not all(isinstance(word, str) for word in check):
        raise table.wrong("check", "must be a list of words: the program and its arguments")
    if any("\0" in word for word in check):
        raise table.wrong("check", "has a NUL in it")
    if not check[0].startswith("/"):
        raise table.wrong("check", f"{check[0]!r} must be an absolute path")
    return tuple(check)


def _at_least(table: Table, key: str, value: float, least: float) -> float:
    if not least <= value < float("inf"):
        raise table.wrong(key, f"must be {least} or more")
    return value


def _drain(table: Table) -> float:
    value = _at_least(table, "drain", table.take("drain", float, 5.0), 0)
    if value > LONGEST_DRAIN:
        raise table.wrong("drain", f"must be at most {LONGEST_DRAIN}")
    return value


def _min_announcing(table: Table) -> str:
    value = table.take("min_announcing", object, "50%")
    text = str(value)
    if isinstance(value, str) and text.isdecimal():
        # The percent sign may be missing, and then 50 would be a floor that no pool reaches.
        raise table.wrong("min_announcing", f'is text: write {text} or "{text}%"')
    least, most = (0, 100) if text.endswith("%") else (1, MOST_ENDPOINTS)
    number = text.removesuffix("%")
    sound = isinstance(value, str | int) and number.isascii() and number.isdecimal()
    # Python does not convert a number of thousands of digits at all.
    if not sound or len(number) > LONGEST_NUMBER or not least <= int(number) <= most:
        raise table.wrong("min_announcing", 'must be a number from 1, or a share such as "50%"')
    return text


def _min_announcing_per_site(table: Table) -> int:
    value = table.take("min_announcing_per_site", int, 0)
    if not 0 <= value <= MOST_ENDPOINTS:
        raise table.wrong("min_announcing_per_site", f"must be from 0 to {MOST_ENDPOINTS}")
    return value
