"""The drill: withdraw and restore a healthy endpoint, and see how long each step takes."""

from __future__ import annotations

import click

from anycast_checks.line import clean

from .command import place, read_fleet
from .errors import DONE
from .operation.operate import operate
from .operation.outcome import Outcome, Request


@click.command()
@place
@click.pass_obj
def command(file: str, /, vip: str, endpoint: str) -> int:
    """Withdraw and restore a healthy endpoint, guards included; print how long each step took.

    It refuses where the endpoint's own check does not say OK, where it is held, or too few others
    announce. While it is withdrawn the endpoint is held; a drill that is killed is ended by
    `restore`.
    """
    fleet = read_fleet(file)
    found, member = fleet.find(vip, endpoint)
    there = Request("drill", found, member, reason="drill")
    out = operate(fleet, there)
    _print(out)
    if out.exit != DONE or out.announced is not False:
        return out.exit
    back = operate(fleet, Request("restore", found, member, reason="drill"))
    _print(back)
    return back.exit


def _print(outcome: Outcome) -> None:
    for name, seconds in outcome.timings:
        click.echo(f"{seconds:8.2f} s  {name}")
    click.echo(clean(outcome.line, 900))
