"""Stop the automation, here or on every monitoring host, and let it act again."""

from __future__ import annotations

import shlex
from contextlib import suppress

import click

from anycast_checks.line import clean
from anycast_checks.times import utc

from ..errors import DONE, TRIED_AND_FAILED, ConfigurationError
from ..fleet.gathered import read
from ..fleet.values import Fleet, Paths
from ..operation.log import Syslog
from ..operation.request import signature
from ..operation.stop_file import EVERYWHERE, SILENT
from ..operation.stopping import Told, stop
from ..transport.clock import SYSTEM_CLOCK
from ..transport.connections import FreshConnections
from . import Invocation
from ._options import LINE, read_fleet, say
from ._progress import counting


@click.command()
@click.option("--all", "everywhere", is_flag=True,
              help="On every monitoring host of the fleet file.")  # fmt: skip
@click.option("--end", is_flag=True, help="Let the automation act again.")
@click.option("--reason", default="", metavar="TEXT", help="Reason, for whoever meets it.")
@click.pass_obj
def command(invocation: Invocation, /, *, everywhere: bool, end: bool, reason: str) -> int:
    """Stop the automation: `event`, `enforce` and `watch` only look until it is ended.

    It places the stop file, which stops one monitoring host. With --all it does so on each one of
    the table [monitors] too, and names those that it could not reach: they go on acting. What was
    withdrawn stays withdrawn, and a person may act by hand. A stop file that is there already stays
    as it is, and its words are shown.

    --end removes the file and shows what it said. With --all it leaves another host alone that was
    stopped by itself, on that host or by hand: `stop --end` there ends that. Exit code 2 means that
    some hosts were not stopped, or are still stopped.
    """
    try:
        fleet = read_fleet(invocation.file)
    except ConfigurationError as error:
        raise error if end else _with_remedy(error, invocation.file) from None
    why = clean(reason, 200)
    by = signature(by_hand=True)
    scope = EVERYWHERE if everywhere else ""
    since = f"since {utc(SYSTEM_CLOCK.time())}"
    text = None if end else f"{scope}by {by} {since}{f': {why}' if why else ''}\n"
    connections = FreshConnections(fleet.ssh)
    with counting("stop", "other monitoring hosts") as awaited:
        told = stop(fleet, connections, SYSTEM_CLOCK, text, awaited, everywhere=everywhere)
    for one in told:
        say(clean(f"{one.name}: {_said(one, end=end)}", LINE))
    summary = _summary(fleet, told, everywhere=everywhere, end=end)
    say(clean(summary, LINE))
    Syslog().send(f"stop: {summary}, {text or f'by {by}'}", warning=True)
    unknown = everywhere and not fleet.monitors
    return TRIED_AND_FAILED if unknown or any(one.trouble for one in told) else DONE


def _with_remedy(error: ConfigurationError, file: str) -> ConfigurationError:
    """Say also how this host is stopped by hand: a watcher acts on by the file of before."""
    path: object = None
    with suppress(ConfigurationError, AttributeError):
        path = read(file).get("paths", {}).get("stop", Paths().stop)
    is_known = isinstance(path, str) and path.startswith("/")
    by_hand = f"`touch {shlex.quote(str(path) if is_known else Paths().stop)}` stops this host"
    unless = "" if is_known else ", unless paths.stop is another file"
    remedies = "; ".join(filter(None, (error.remedy, by_hand + unless)))
    return ConfigurationError(error.what, remedies)


def _said(one: Told, *, end: bool) -> str:
    if one.trouble:
        return f"{'STILL STOPPED' if end else 'NOT STOPPED'}: {one.trouble}"
    if one.said is None:
        return "acts again" if end else "stopped"
    before = one.said or SILENT
    return f"acts again; it was stopped: {before}" if end else f"was stopped already: {before}"


def _summary(fleet: Fleet, told: list[Told], *, everywhere: bool, end: bool) -> str:
    failed = [one.name for one in told if one.trouble]
    what = "acts again" if end else "stopped"
    text = f"{what} on {len(told) - len(failed)} of {len(told)} monitoring hosts"
    if failed:
        how = f"`rm {fleet.paths.stop}`" if end else f"`touch {fleet.paths.stop}`"
        text += f"; on {', '.join(failed)} do it by hand: {how}"
    if everywhere and not fleet.monitors:
        text += f"; no others are known: name them in [monitors] of {fleet.file}"
    return text
