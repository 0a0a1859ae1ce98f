"""Show past decisions from the log of decisions, the newest last."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

import click

from anycast_checks.line import clean
from anycast_checks.times import iso, lasting, utc

from ..errors import DONE, ConfigurationError
from ..fleet.values import Fleet
from ..operation.ending import ending
from ..operation.lanes import Course, lanes
from ..operation.log import why_not
from ..operation.past import Wanted, last
from ..transport.clock import SYSTEM_CLOCK
from ..watch.page.drawing import Stretch
from ..watch.page.history import render
from . import Invocation
from ._completion import endpoint_names, vip_names
from ._options import LINE, Duration, Looking, printed, read_fleet, say
from ._progress import following

LINES = 20
# With a time they are all shown; no page and no terminal has more than so many.
MOST = 20_000
# The end of a line, which says how an act ended and the rule, has so many characters at most.
LONGEST_END = 80
DAY = 86400


@click.command(cls=Looking)
@click.argument("vip", metavar="[VIP]", required=False, shell_complete=vip_names)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=endpoint_names)
@click.option("-n", "--lines", type=click.IntRange(1), metavar="N",
              help="Show the last N decisions.  [default: 20, on a terminal those that it "
              "shows at once, or all of --since]")  # fmt: skip
@click.option("--since", type=Duration(), metavar="TIME",
              help="Show what is not older than this, such as 90m, 12h or 2d.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Show decisions to do nothing too.")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="Write a page about the last day, or about --since: how each endpoint was, and "
              "each decision with its reason.")  # fmt: skip
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    vip: str | None,
    endpoint: str | None,
    *,
    lines: int | None,
    since: int | None,
    everything: bool,
    html: str | None,
) -> int:
    """Show past decisions from the log of decisions, the newest last.

    Without --all, decisions to do nothing are left out, unless something failed. Files that
    logrotate has made of the log are read too, as far as is needed. Times are in UTC.
    """
    fleet = read_fleet(invocation.file)
    if vip and endpoint:
        fleet.find(vip, endpoint)
    elif vip:
        fleet.vip(vip)
    named = {"vip": vip, "endpoint": endpoint}
    fields = {key: value for key, value in named.items() if value}
    if html:
        if lines:
            raise click.UsageError("--html shows all decisions of --since: leave out -n")
        return _write_page(fleet, fields, html, since or DAY, everything=everything)
    oldest = iso(SYSTEM_CLOCK.time() - since) if since else ""
    wanted = Wanted(fields, everything=everything, since=oldest)
    found, trouble = _last(fleet, wanted, lines or (MOST if since else LINES))
    if trouble:
        click.echo(clean(trouble, LINE))
    elif not found:
        say(clean(_nothing(fleet.paths.log, everything=everything), LINE))
    shown = [printed(_show(entry)) for entry in found]
    for text in shown if lines or since else _on_one_screen(shown):
        click.echo(text)
    return DONE


def _on_one_screen(decisions: list[str]) -> list[str]:
    """Leave out the oldest decisions for which a terminal has no room, and say so."""
    if not sys.stdout.isatty():
        return decisions
    # The shell prompts in the last line, and the first one is that about the others.
    room, kept = shutil.get_terminal_size().lines - 2, len(decisions)
    for number, text in enumerate(reversed(decisions)):
        room -= text.count("\n") + 1
        if room < 0:
            kept = max(1, number)
            break
    left = len(decisions) - kept
    more = [f"older decisions are left out: -n {LINES} shows {left} more"] if left else []
    return [*more, *decisions[left:]]


def _nothing(log: str, *, everything: bool) -> str:
    if not os.path.exists(log):
        return f"there is no {log}: nothing has been decided on this monitoring host yet"
    more = "" if everything else "; --all shows decisions to do nothing too"
    return f"{log} has no such decision{more}"


def _last(fleet: Fleet, wanted: Wanted, number: int) -> tuple[list[dict[str, Any]], str]:
    log = fleet.paths.log
    try:
        with following("history"):
            found, trouble = last(log, wanted, number)
    except OSError as error:
        raise ConfigurationError(f"{log}: cannot be read: {why_not(log, error)}") from error
    if len(found) == MOST == number:
        trouble = f"there were more than {MOST}"
    return found, f"older decisions are missing: {trouble}" if trouble else ""


def _show(entry: dict[str, Any]) -> str:
    time = str(entry.get("time", ""))[:19].replace("T", " ") + "Z"
    dry = " --dry-run" if entry.get("dry_run") else ""
    said = f"{time} {entry.get('verb')}{dry} by {entry.get('user')}: {entry.get('text', '')}"
    how = f"({ended}) " if (ended := ending(entry)) else ""
    # A long text must not push out the words that a person goes by.
    end = clean(f"{how}[{entry.get('rule')}]", LONGEST_END)
    return f"{clean(said, LINE - len(end) - 1)} {end}"


def _write_page(
    fleet: Fleet, fields: dict[str, str], file: str, seconds: int, *, everything: bool
) -> int:
    now = SYSTEM_CLOCK.time()
    stretch = Stretch(now - seconds, now)
    wanted = Course(fields, everything=everything, since=iso(stretch.begin))
    found, trouble = _last(fleet, wanted, MOST)
    shown = lanes(found, wanted, *stretch)
    page = render(shown, stretch, [trouble] if trouble else [])
    if file == "-":
        click.echo(page, nl=False)
        return DONE
    try:
        # The log is not for everybody either.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(page)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
    what = "1 endpoint" if len(shown) == 1 else f"{len(shown)} endpoints"
    click.echo(f"{file}: {what}, since {utc(stretch.begin)} ({lasting(seconds)})")
    if trouble:
        click.echo(clean(trouble, LINE))
    return DONE
