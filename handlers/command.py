"""The anycast-handler group: discovery of verb_*.py, and what several verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import click

from anycast_checks import __version__
from anycast_checks.line import clean

from .activators import NAMES
from .decision.facts import State, StateType
from .fleet.file import load
from .fleet.values import Endpoint, Fleet
from .operation.outcome import Outcome, Request

Function = TypeVar("Function", bound=Callable[..., Any])
DEFAULT_FLEET = "/etc/anycast/fleet.toml"
PREFIX = "verb_"
HERE = os.path.dirname(__file__)


class Verbs(click.Group):
    """Finds its commands in the files verb_*.py beside this one, and imports what is asked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every verb."""
        files = (name for name in os.listdir(HERE) if name.startswith(PREFIX))
        return sorted(name[len(PREFIX) : -len(".py")] for name in files if name.endswith(".py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb; None where there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f".{PREFIX}{cmd_name}", __package__).command
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=Verbs,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Exit codes: 0 done or nothing to do, 1 refused or not confirmed, 2 tried and failed, "
    "3 usage or configuration. `enforce` has those of a plugin.",
)
@click.version_option(__version__, "-V", "--version", message="anycast-handler %(version)s")
@click.option(
    "--fleet",
    "file",
    envvar="ANYCAST_FLEET",
    default=DEFAULT_FLEET,
    show_default=True,
    metavar="FILE",
    help="The fleet file; or ANYCAST_FLEET in the environment.",
)
@click.pass_context
def group(ctx: click.Context, file: str) -> None:
    """Take a failing anycast endpoint out of the routing, and bring it back."""
    ctx.obj = file


def read_fleet(file: str) -> Fleet:
    """Read the fleet file; raises as `load` does."""
    return load(file, NAMES)


def place(function: Function) -> Function:
    """Take VIP and ENDPOINT, the names of the fleet file."""
    function = click.argument("endpoint", metavar="ENDPOINT")(function)
    return click.argument("vip", metavar="VIP")(function)


def engine_options(function: Function) -> Function:
    """Take what an engine knows of the health service."""
    for option in (
        click.option(
            "--downtime",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Depth of the service's downtime; in downtime nothing is restored.",
        ),
        click.option(
            "--state-type",
            required=True,
            type=click.Choice([t.name for t in StateType], case_sensitive=False),
            help="The type of that state.",
        ),
        click.option(
            "--state",
            required=True,
            type=click.Choice([s.name for s in State], case_sensitive=False),
            help="The health service's state.",
        ),
    ):
        function = option(function)
    return function


def acting_options(function: Function) -> Function:
    """Take what every verb that acts understands."""
    function = click.option("--reason", default="", metavar="TEXT", help="For the log.")(function)
    return click.option("--dry-run", is_flag=True, help="Print what would run; change nothing.")(
        function
    )


def force_option(function: Function) -> Function:
    """Take --force, for people only."""
    return click.option("--force", is_flag=True, help="Override a guard; the log says which.")(
        function
    )


def note_options(function: Function) -> Function:
    """Take VIP, and ENDPOINT where only one of its endpoints is meant."""
    function = click.argument("endpoint", metavar="[ENDPOINT]", required=False)(function)
    return click.argument("vip", metavar="VIP")(function)


def note_request(
    file: str, verb: str, vip: str, endpoint: str | None, reason: str
) -> tuple[Fleet, Request, tuple[Endpoint, ...]]:
    """Build the request of `hold` or `release`, and list the endpoints that it is for."""
    fleet = read_fleet(file)
    found = fleet.vip(vip)
    endpoints = (fleet.find(vip, endpoint)[1],) if endpoint else found.endpoints
    return fleet, Request(verb, found, endpoints[0], reason=clean(reason, 120)), endpoints


def hand_request(
    file: str, verb: str, names: tuple[str, str], options: dict[str, Any]
) -> tuple[Fleet, Request]:
    """Build the request of a person from the verb's options."""
    fleet = read_fleet(file)
    vip, endpoint = fleet.find(*names)
    return fleet, Request(
        verb,
        vip,
        endpoint,
        reason=clean(options["reason"]),
        dry_run=options["dry_run"],
        force=options.get("force", False),
    )


def engine_request(
    file: str, verb: str, names: tuple[str, str], options: dict[str, Any]
) -> tuple[Fleet, Request]:
    """Build the request of `event` or `enforce`: a person's, and what the engine knows."""
    fleet, request = hand_request(file, verb, names, options)
    return fleet, request._replace(
        state=State[options["state"].upper()],
        state_type=StateType[options["state_type"].upper()],
        downtime=options["downtime"] > 0,
    )


def finish(outcome: Outcome) -> int:
    """Print the one line of an outcome and give the exit code."""
    click.echo(clean(outcome.line, 900))
    return outcome.exit_code
