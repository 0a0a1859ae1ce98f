"""What several verbs share: their options, and the request that is made of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from anycast_checks.line import clean

from ..activators import names
from ..decision.facts import State, StateType
from ..fleet.file import load
from ..fleet.values import Endpoint, Fleet
from ..operation.operate import operate, this_host
from ..operation.outcome import ELSE, Outcome
from ..operation.request import Follow, Request, Verb, nobody
from . import Prints
from ._completion import endpoint_names, vip_names

Function = TypeVar("Function", bound=Callable[..., Any])
# Longest line that is printed, in characters; engines cut longer ones.
LINE = 900
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 365 * 86400


class Plugin(click.Command):
    """A verb whose output and exit code are those of a plugin."""

    prints = Prints.PLUGIN


class Looking(click.Command):
    """A verb that changes nothing, anywhere."""

    only_looks = True


class FilesToInstall(click.Command):
    """A verb whose output is installed on an endpoint."""

    prints = Prints.FILES


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as 90s, 30m, 2h or 1d, which becomes a number of seconds."""

    name = "duration"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a time, or say how it should be written."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value)
        if not found:
            self.fail(f"{value!r} is no time such as 30m or 2h", param, ctx)
        seconds = int(found[1]) * UNITS[found[2]]
        if seconds > LONGEST:
            self.fail(f"{value} is more than {LONGEST // UNITS['d']}d", param, ctx)
        return seconds


def read_fleet(file: str) -> Fleet:
    """Read a fleet file, which may name any of the activators; raises as `load` does."""
    return load(file, names())


def run(fleet: Fleet, request: Request, follow: Follow = nobody) -> Outcome:
    """Carry out a request, with the log, the locks and the connections of this host.

    ``follow`` is told each step when it begins.
    """
    return operate(fleet, request, this_host(fleet, follow))


def run_for_engine(fleet: Fleet, request: Request) -> Outcome:
    """Carry out an engine's request; a person who tries it by hand sees how far it is."""
    if not sys.stderr.isatty():
        return run(fleet, request)
    # An engine has no terminal, and does not pay for the import.
    from ._progress import following

    with following(f"{request.verb.name} {request.endpoint.name}") as follow:
        return run(fleet, request, follow)


def place(function: Function) -> Function:
    """Add the arguments VIP and ENDPOINT, which are names in the fleet file."""
    endpoint = click.argument("endpoint", metavar="ENDPOINT", shell_complete=endpoint_names)
    return click.argument("vip", metavar="VIP", shell_complete=vip_names)(endpoint(function))


def engine_options(function: Function) -> Function:
    """Add the options for what an engine knows of the health service."""
    for option in (
        click.option(
            "--downtime",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="How many downtimes the health service and its host are in. In a downtime nothing"
            " is restored.",
        ),
        click.option(
            "--state-type",
            required=True,
            type=click.Choice([t.name for t in StateType], case_sensitive=False),
            help="Whether the state is SOFT or HARD.",
        ),
        click.option(
            "--state",
            required=True,
            type=click.Choice([s.name for s in State], case_sensitive=False),
            help="State of the health service.",
        ),
    ):
        function = option(function)
    return function


def acting_options(function: Function) -> Function:
    """Add the options of every verb that acts."""
    function = click.option(
        "--reason", default="", metavar="TEXT", help="Reason, for the log of decisions."
    )(function)
    return click.option(
        "--dry-run", is_flag=True, help="Print what would run, and change nothing."
    )(function)


def force_option(function: Function) -> Function:
    """Add --force, which only a verb for people has."""
    return click.option(
        "--force",
        is_flag=True,
        help="Act in spite of each reason to refuse; the line and the log name them all.",
    )(function)


def note_options(function: Function) -> Function:
    """Add VIP, and ENDPOINT for an order that is for one endpoint only."""
    endpoint = click.argument(
        "endpoint", metavar="[ENDPOINT]", required=False, shell_complete=endpoint_names
    )
    return click.argument("vip", metavar="VIP", shell_complete=vip_names)(endpoint(function))


def note_request(
    fleet: Fleet, verb: Verb, vip: str, endpoint: str | None, reason: str
) -> tuple[Request, tuple[Endpoint, ...]]:
    """Build the request of `hold` or `release`, and list the endpoints of the order."""
    found = fleet.vip(vip)
    endpoints = (fleet.find(vip, endpoint)[1],) if endpoint else found.endpoints
    return Request(verb, found, endpoints[0], reason=clean(reason, 120)), endpoints


def hand_request(
    fleet: Fleet, verb: Verb, names: tuple[str, str], options: dict[str, Any]
) -> Request:
    """Build the request of a verb that acts from its options."""
    vip, endpoint = fleet.find(*names)
    return Request(
        verb,
        vip,
        endpoint,
        reason=clean(options["reason"]),
        dry_run=options["dry_run"],
        force=options.get("force", False),
    )


def engine_request(
    fleet: Fleet, verb: Verb, names: tuple[str, str], options: dict[str, Any]
) -> Request:
    """Build the request of `event` or `enforce`, with what the engine knows."""
    request = hand_request(fleet, verb, names, options)
    return request._replace(
        state=State[options["state"].upper()],
        state_type=StateType[options["state_type"].upper()],
        downtime=options["downtime"] > 0,
    )


def finish(outcome: Outcome) -> int:
    """Print the one line of an outcome and give the exit code; a person's dry run is a list."""
    line = clean(outcome.line, LINE)
    if outcome.request.dry_run and outcome.request.verb.by_hand:
        click.echo(line.replace(ELSE, f"\n {ELSE[1:]}"))
    else:
        say(line)
    return outcome.exit_code


def say(line: str) -> None:
    """Print a line, which a terminal gets broken between words."""
    click.echo(printed(line))


def printed(line: str) -> str:
    """Break a line between words where it is for a terminal."""
    if not sys.stdout.isatty():
        return line
    # An engine has no terminal, and does not pay for the import.
    from ..doctor.report import COLUMNS, wrapped

    return wrapped(line, columns=os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS)
