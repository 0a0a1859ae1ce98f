"""Show what every endpoint is like now, and change nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

import click

from anycast_checks.line import clean
from anycast_checks.routing import DAEMONS
from anycast_checks.times import utc

from ..errors import DONE, TRIED_AND_FAILED, ConfigurationError, SignalledError
from ..fleet.values import Fleet, Vip
from ..operation.overview import look_at_all
from ..transport.clock import SYSTEM_CLOCK
from ..watch.asking import NotToldError, ask
from . import Invocation, _asked, _known
from ._completion import vip_names
from ._options import LINE, Looking, read_fleet
from ._progress import counting
from ._summary import strangers, tell_stopped
from ._table import Row, print_table

# For an endpoint that is far away or busy; one of which nothing is heard is given up sooner.
SECONDS = 15.0
WATCH_SECONDS = 2.0
# An endpoint that hangs must not keep the others from being shown anew.
WATCHED_SECONDS = 5.0


@click.command(cls=Looking)
@click.argument("vip", metavar="[VIP]", required=False, shell_complete=vip_names)
@click.option("--watch", is_flag=True, help="Show the table again every 2 s, until Ctrl-C.")
@click.option("--site", metavar="SITE", help="Show only the endpoints of one site.")
@click.option("--all", "every", is_flag=True, help="Show what is as it should be, too.")
@click.option(
    "--watcher", is_flag=True, help="Show what the watcher of this host knows; ask nobody."
)
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
    watcher: bool,
    as_json: bool,
) -> int:
    """Show what every endpoint is like now, and change nothing.

    ADDRESS is what the kernel says: present, absent, or on another interface than its own; it is
    draining where it is absent, and the endpoint still answers for those who come late. ROUTING is
    what the routing daemon says: announced, not, or unknown. What is not as it should be stands
    first; of more than 16 endpoints the others are only counted. Exit code 2 means that an endpoint
    or its notes could not be read.

    With --watcher no endpoint is asked: it is what `anycast-handler watch` knows on this host, with
    the state of the service. The first line says how old that is. Exit code 2 also means that there
    is no such watcher, or that it does not know an endpoint.
    """
    fleet = read_fleet(invocation.file)
    vips = (fleet.vip(vip),) if vip else fleet.vips
    if site:
        vips = _with_site(fleet, vips, site)
    wanted = _Wanted(fleet, vips, site)

    def show() -> bool:
        try:
            shown = _by_watcher(wanted) if watcher else _by_asking(wanted, is_again=watch)
        except NotToldError as error:
            # Of a watcher that is started anew the next table is right.
            if not watch:
                raise
            if not as_json:
                click.clear()
            click.secho(clean(str(error), LINE), fg="red", err=as_json)
            return False
        if as_json:
            documents = [row.document for row in shown.rows]
            click.echo(json.dumps(documents, indent=None if watch else 2))
        else:
            _print(wanted, shown, is_again=watch, every=every)
        return not any(row.trouble for row in shown.rows)

    return _watch(show) if watch else DONE if show() else TRIED_AND_FAILED


class _Wanted(NamedTuple):
    """The fleet, and which part of it is to be shown."""

    fleet: Fleet
    vips: tuple[Vip, ...]
    site: str | None


class _Shown(NamedTuple):
    """The rows, the columns behind their names, and what is said above and below them."""

    rows: list[Row]
    columns: tuple[str, ...]
    before: str = ""
    after: Iterable[tuple[str, str]] = ()


def _by_asking(wanted: _Wanted, *, is_again: bool) -> _Shown:
    fleet, vips, site = wanted
    seconds = WATCHED_SECONDS if is_again else SECONDS
    # The last table stays in view until the next one is there.
    with counting("status", is_shown=not is_again) as awaited:
        sights = look_at_all(fleet, vips, DAEMONS, SYSTEM_CLOCK, seconds, site, awaited)
    after = ((text, "yellow") for text in strangers(fleet, sights, vips))
    return _Shown([_asked.row(sight) for sight in sights], _asked.COLUMNS, after=after)


def _by_watcher(wanted: _Wanted) -> _Shown:
    now = SYSTEM_CLOCK.time()
    told = ask(wanted.fleet, now)
    rows = _known.rows(wanted.vips, wanted.site, told, now)
    causes = [
        (f"{v.name}: {told.causes[v.name]}", "red") for v in wanted.vips if v.name in told.causes
    ]
    left = _known.not_in_file(wanted.fleet.vips, told)
    notes = [(f"watcher: {note}", "yellow") for note in (*told.notes, left) if note]
    return _Shown(rows, _known.COLUMNS, _known.how_old(rows, told), (*causes, *notes))


def _print(wanted: _Wanted, shown: _Shown, *, is_again: bool, every: bool) -> None:
    if is_again:
        click.clear()
        now = utc(SYSTEM_CLOCK.time())
        click.secho(f"{now}, again every {WATCH_SECONDS:g} s; Ctrl-C ends it", dim=True)
    if shown.before:
        click.echo(shown.before)
    print_table(shown.rows, shown.columns, wanted.vips, wanted.site, every=every)
    for text, colour in shown.after:
        click.secho(text, fg=colour)
    tell_stopped(wanted.fleet.paths.stop)


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
