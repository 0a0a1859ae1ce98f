"""A table of what every endpoint is like now."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import click

from anycast_checks.line import clean
from anycast_checks.routing import DAEMONS

from .command import read_fleet
from .endpoint.look import Look
from .endpoint.site import Site
from .errors import DONE, TRIED_AND_FAILED, ConfigurationError, HandlerError, UncountableError
from .fleet.values import Endpoint, Fleet, Vip
from .operation.outcome import age
from .routing.count import see_routing
from .transport.deadline import Deadline
from .transport.each import Turns, at_once
from .transport.shell import open_shell

SECONDS = 15.0
WATCH_SECONDS = 2.0
# An endpoint that hangs must not keep the others from being shown anew.
WATCHED_SECONDS = 5.0
COLUMNS = ("vip", "endpoint", "address", "announced", "in ospf", "latch", "hold")


@dataclass(frozen=True)
class _Row:
    vip: Vip
    endpoint: Endpoint
    look: Look | None = None
    clock: int = 0
    in_ospf: bool | None = None
    error: str = ""

    @property
    def trouble(self) -> str:
        """What could not be seen."""
        return self.error or clean(self.look.trouble if self.look else "")

    def document(self) -> dict[str, Any]:
        latch = hold = None
        if self.look and self.look.latch_age is not None:
            latch = {
                "age": round(self.look.latch_age, 1),
                "by": self.look.latch.by,
                "reason": self.look.latch.reason,
            }
        if self.look and self.look.hold:
            hold = asdict(self.look.hold) | {"expired": self.look.hold.has_expired(self.clock)}
        return {
            "vip": self.vip.name,
            "endpoint": self.endpoint.name,
            "address": self.endpoint.address,
            "announced": self.look.announced if self.look else None,
            "in_ospf": self.in_ospf,
            "latch": latch,
            "hold": hold,
            "error": self.trouble or None,
        }

    def cells(self) -> tuple[str, ...]:
        where = (self.vip.name, self.endpoint.name, self.endpoint.address)
        look = self.look
        if look is None:
            return (*where, "?", "?", "?", "?")
        latch = "?" if look.trouble else "-"
        if look.latch_age is not None:
            latch = f"{age(look.latch_age)} ago"
        in_ospf = "?" if self.in_ospf is None else _yes(self.in_ospf)
        return (*where, _yes(look.announced), in_ospf, latch, self._hold(look))

    def remarks(self) -> list[str]:
        """Say who did it and why, below the table."""
        if self.look is None:
            return [self.error]
        said: dict[str, str] = {}
        if self.look.latch_age is not None and not self.look.announced:
            said[f"{self.look.latch.by}: {self.look.latch.reason}"] = "withdrawn"
        if self.look.hold:
            held = f"{self.look.hold.by}: {self.look.hold.reason}"
            said[held] = "withdrawn and held" if held in said else "held"
        lines = [f"{what} by {whom}" for whom, what in said.items()]
        return [*lines, self.trouble] if self.trouble else lines

    def _hold(self, look: Look) -> str:
        if look.hold is None:
            return "?" if look.hold_unknown else "-"
        if look.hold.has_expired(self.clock):
            return "expired"
        return "held" if look.hold.until is None else f"{age(look.hold.until - self.clock)} left"


@click.command()
@click.argument("vip", metavar="[VIP]", required=False)
@click.option("--watch", is_flag=True, help="Show it again every 2 s, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print a list for programs instead.")
@click.pass_obj
def command(file: str, /, vip: str | None, *, watch: bool, as_json: bool) -> int:
    """Show what every endpoint is like now; changes nothing.

    Exit code 2 where not all of it could be seen.
    """
    fleet = read_fleet(file)
    vips = (fleet.vip(vip),) if vip else fleet.vips
    while True:
        rows = _look_at_all(fleet, vips, WATCHED_SECONDS if watch else SECONDS)
        if watch and not as_json:
            click.clear()
            now = time.strftime("%H:%M:%SZ", time.gmtime())
            click.secho(f"{now}, again every {WATCH_SECONDS:g} s; Ctrl-C ends it", dim=True)
        if as_json:
            click.echo(json.dumps([row.document() for row in rows], indent=None if watch else 2))
        else:
            _print(rows)
            if os.path.exists(fleet.paths.stop):
                click.secho(f"{fleet.paths.stop} exists: the automation only looks", fg="yellow")
        if not watch:
            return TRIED_AND_FAILED if any(row.trouble for row in rows) else DONE
        time.sleep(WATCH_SECONDS)


def _look_at_all(fleet: Fleet, vips: tuple[Vip, ...], seconds: float) -> list[_Row]:
    pairs = [(vip, endpoint) for vip in vips for endpoint in vip.endpoints]
    turns = Turns()
    return at_once(lambda pair: _look_at(fleet, *pair, Deadline(seconds), turns), pairs)


def _look_at(fleet: Fleet, vip: Vip, endpoint: Endpoint, deadline: Deadline, turns: Turns) -> _Row:
    try:
        with open_shell(endpoint, fleet.ssh, deadline, turns=turns) as shell:
            site = Site(shell, vip)
            look = site.look()
            clock = site.clock() if look.hold else 0
            try:
                in_ospf = see_routing(shell, vip, DAEMONS).announced
            except UncountableError:
                in_ospf = None
            return _Row(vip, endpoint, look, clock, in_ospf)
    except ConfigurationError:
        raise
    except HandlerError as error:
        return _Row(vip, endpoint, error=clean(str(error)))


def _print(rows: list[_Row]) -> None:
    table = [tuple(name.upper() for name in COLUMNS), *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    for line, row in zip(table, [None, *rows], strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.secho(text.rstrip(), fg=_colour(row), bold=row is None)
    for row in rows:
        for said in row.remarks():
            click.secho(clean(f"{row.endpoint.name}: {said}"), fg=None if row.look else "red")


def _colour(row: _Row | None) -> str | None:
    if row is None:
        return None
    if row.look is None:
        return "red"
    if row.in_ospf is not None and row.in_ospf is not row.look.announced:
        return "red"
    return "green" if row.look.announced else "yellow"


def _yes(value: bool) -> str:  # noqa: FBT001 - the word for it
    return "yes" if value else "no"
