"""Show what every endpoint is like now, and change nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import click

from anycast_checks.line import clean
from anycast_checks.routing import DAEMONS
from anycast_checks.times import lasting, utc

from ..endpoint.latch import UNREADABLE_HOLD
from ..endpoint.look import Look
from ..errors import DONE, TRIED_AND_FAILED, ConfigurationError, SignalledError
from ..fleet.values import Fleet, Vip
from ..operation.overview import Sight, look_at_all
from ..transport.clock import SYSTEM_CLOCK
from . import Invocation
from ._completion import vip_names
from ._options import Looking, read_fleet
from ._progress import counting
from ._summary import name_strangers, print_remarks, summaries, tell_stopped

# For an endpoint that is far away or busy; one of which nothing is heard is given up sooner.
SECONDS = 15.0
WATCH_SECONDS = 2.0
# An endpoint that hangs must not keep the others from being shown anew.
WATCHED_SECONDS = 5.0
# Longest text in a column: the names of a few interfaces, and every name of the fleet file.
CELL = 80
# With more rows than these it would not fit on a screen of 24 lines.
MOST_ROWS = 16
COLUMNS = ("vip", "endpoint", "address", "routing", "latch", "hold")


@click.command(cls=Looking)
@click.argument("vip", metavar="[VIP]", required=False, shell_complete=vip_names)
@click.option("--watch", is_flag=True, help="Show the table again every 2 s, until Ctrl-C.")
@click.option("--site", metavar="SITE", help="Show only the endpoints of one site.")
@click.option("--all", "every", is_flag=True, help="Show what is as it should be, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of the table.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    vip: str | None,
    *,
    site: str | None,
    watch: bool,
    every: bool,
    as_json: bool,
) -> int:
    """Show what every endpoint is like now, and change nothing.

    ADDRESS is what the kernel says: present, absent, or on another interface than its own; it is
    draining where it is absent, and the endpoint still answers for those who come late. ROUTING is
    what the routing daemon says: announced, not, or unknown. What is not as it should be stands
    first; of more than 16 endpoints the others are only counted. Exit code 2 means that an endpoint
    or its notes could not be read.
    """
    fleet = read_fleet(invocation.file)
    vips = (fleet.vip(vip),) if vip else fleet.vips
    if site:
        vips = _with_site(fleet, vips, site)

    def show() -> bool:
        seconds = WATCHED_SECONDS if watch else SECONDS
        # The last table stays in view until the next one is there.
        with counting("status", is_shown=not watch) as awaited:
            sights = look_at_all(fleet, vips, DAEMONS, SYSTEM_CLOCK, seconds, site, awaited)
        if watch and not as_json:
            click.clear()
            now = utc(SYSTEM_CLOCK.time())
            click.secho(f"{now}, again every {WATCH_SECONDS:g} s; Ctrl-C ends it", dim=True)
        if as_json:
            documents = [_document(sight) for sight in sights]
            click.echo(json.dumps(documents, indent=None if watch else 2))
        else:
            _print(sights, vips, site, every=every)
            name_strangers(fleet, sights, vips)
            tell_stopped(fleet.paths.stop)
        return not any(sight.trouble for sight in sights)

    return _watch(show) if watch else DONE if show() else TRIED_AND_FAILED


def _watch(show: Callable[[], object]) -> int:
    # Ctrl-C is how a person ends it, and no error.
    with suppress(SignalledError):
        while True:
            show()
            time.sleep(WATCH_SECONDS)
    return DONE


def _with_site(fleet: Fleet, vips: tuple[Vip, ...], site: str) -> tuple[Vip, ...]:
    """Give the VIPs that have endpoints in a site, or raise ConfigurationError."""
    found = tuple(vip for vip in vips if site in vip.sites)
    if not found:
        known = ", ".join(sorted({name for vip in vips for name in vip.sites if name}))
        there = f"there is: {known}" if known else "no endpoint has one"
        raise ConfigurationError(f"{fleet.file}: there is no site {site!r} ({there})")
    return found


def _document(sight: Sight) -> dict[str, Any]:
    look, latch, hold = sight.look, None, None
    if look and look.latch_age is not None:
        latch = {
            "age": round(look.latch_age, 1),
            "by": look.latch.by,
            "reason": look.latch.reason,
        }
    if look and look.hold:
        hold = look.hold.document() | {"expired": look.hold_has_expired(sight.clock)}
    unknown = f"routing unknown: {sight.routing_unknown}" if sight.routing_unknown else ""
    return {
        "vip": sight.vip.name,
        "endpoint": sight.endpoint.name,
        "site": sight.endpoint.site or None,
        "address": sight.endpoint.address,
        "present": look.present if look else None,
        "on": next(iter(look.interfaces), None) if look else None,
        "draining": look.draining is not None if look else None,
        "announced": sight.announced,
        "routing": sight.routing.daemon.protocol.lower() if sight.routing else None,
        "latch": latch,
        "hold": hold,
        "error": "; ".join(filter(None, (sight.trouble, unknown))) or None,
    }


def _print(
    sights: list[Sight], vips: tuple[Vip, ...], site: str | None = None, *, every: bool = False
) -> None:
    judged = [(_is_well(one), one) for one in sights]
    wrong = [one for is_well, one in judged if not is_well]
    well = [one for is_well, one in judged if is_well]
    in_short = len(sights) > MOST_ROWS and not every
    rows = wrong if in_short else [*wrong, *well]
    if rows:
        _print_table(rows)
        print_remarks(rows, _remarks, list(dict.fromkeys(one.endpoint.name for one in sights)))
    if in_short and well:
        more = " more" if wrong else ""
        click.secho(f"{len(well)}{more} are as they should be; --all shows them", fg="green")
    for line in summaries(vips, sights, site, {one.vip.name for one in rows}):
        click.echo(line)


def _print_table(sights: list[Sight]) -> None:
    columns: tuple[str, ...] = COLUMNS
    rows = [_cells(sight) for sight in sights]
    if any(sight.endpoint.site for sight in sights):
        columns = (*COLUMNS[:2], "site", *COLUMNS[2:])
        rows = [
            (*cells[:2], sight.endpoint.site or "-", *cells[2:])
            for cells, sight in zip(rows, sights, strict=True)
        ]
    # An endpoint may put any character into its answers, such as the name of an interface.
    shown = (tuple(clean(cell, CELL) for cell in cells) for cells in rows)
    table = [tuple(name.upper() for name in columns), *shown]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line, sight in zip(table, [None, *sights], strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.secho(text.rstrip(), fg=_colour(sight), bold=sight is None)


def _is_well(sight: Sight) -> bool:
    look, announced = sight.look, sight.announced
    if sight.vip.routing == "none":
        # Nobody is asked about the routing there.
        announced, sight = True, replace(sight, routing_unknown="")
    return bool(look and look.in_place and announced and not _remarks(sight))


def _cells(sight: Sight) -> tuple[str, ...]:
    where, look = (sight.vip.name, sight.endpoint.name), sight.look
    if look is None:
        return (*where, "?", "?", "?", "?")
    latch = "?" if look.trouble else "-"
    if look.latch_age is not None:
        latch = f"{lasting(look.latch_age)} ago"
    routing = {True: "announced", False: "not", None: "unknown"}[sight.announced]
    return (*where, _address(look), routing, latch, _hold(look, sight.clock))


def _address(look: Look) -> str:
    if look.elsewhere:
        return f"on {', '.join(look.interfaces)}"
    if look.present:
        return "present"
    return "absent" if look.draining is None else "draining"


def _hold(look: Look, clock: int) -> str:
    if look.hold is None:
        return "?" if look.hold_unknown else "-"
    left = look.hold_left(clock)
    if left is None:
        return "held"
    return f"{lasting(left)} left" if left > 0 else "expired"


def _remarks(sight: Sight) -> list[str]:
    """Say for the lines below the table who withdrew or held, why, and what could not be seen."""
    look = sight.look
    if look is None:
        return [sight.error]
    lines = []
    if look.latch_age is not None and not look.present:
        lines.append(f"withdrawn by {look.latch.by}: {look.latch.reason}")
    # Why a hold cannot be read is the trouble below.
    if look.hold and not (look.hold == UNREADABLE_HOLD and sight.trouble):
        lines.append(f"held by {look.hold.by}: {look.hold.reason}")
    if look.elsewhere:
        there = ", ".join(look.elsewhere)
        lines.append(f"on {there}, from where nothing withdraws it: take it off there by hand")
    if look.drain_is_left:
        lines.append("still answers by a route that a withdrawal has left behind: run doctor")
    for one in look.addresses.unready(sight.vip.address):
        lines.append(f"{one.unready} on {one.interface}, where it does not answer: run doctor")
    if look.in_place and sight.announced is False:
        lines.append("present, and not announced: run doctor to see why")
    if sight.announced and not look.present:
        lines.append("announced, and not present: run doctor to see why")
    if sight.routing_unknown:
        lines.append(f"routing unknown: {sight.routing_unknown}")
    return [*lines, sight.trouble] if sight.trouble else lines


def _colour(sight: Sight | None) -> str | None:
    if sight is None:
        return None
    if sight.look is None or sight.look.elsewhere:
        return "red"
    if sight.announced is not None and sight.announced is not sight.look.present:
        return "red"
    return "green" if sight.look.present else "yellow"
