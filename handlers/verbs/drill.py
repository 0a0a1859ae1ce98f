"""Withdraw a healthy endpoint, restore it, and show how long it took."""

from __future__ import annotations

import click

from anycast_checks.line import clean

from ..decision.facts import Decision
from ..decision.person import decide_drill
from ..errors import DONE
from ..operation.outcome import Outcome
from ..operation.request import Case, Request, Verb
from . import Invocation
from ._options import LINE, place, read_fleet, run, say
from ._progress import following
from .restore import RESTORE


def _decide(case: Case) -> Decision:
    assert case.seen is not None
    return decide_drill(case.policy, case.seen, case.counted, case.confirmed, case.obstacle)


DRILL = Verb("drill", _decide, places_hold=True)


@click.command()
@place
@click.pass_obj
def command(invocation: Invocation, /, vip: str, endpoint: str) -> int:
    """Withdraw a healthy endpoint, restore it, and print how long each step took.

    A drill refuses where the endpoint's own check does not say OK, where the endpoint is held,
    where a guard forbids a withdrawal, and where the restore could not be made: the service has to
    answer on its instance address too. The endpoint is held while it is withdrawn. If a drill was
    killed, `restore` brings the endpoint back.
    """
    fleet = read_fleet(invocation.file)
    found, member = fleet.find(vip, endpoint)
    with following(f"drill, withdraw {endpoint}") as follow:
        out = run(fleet, Request(DRILL, found, member, reason="drill"), follow)
    _print(out)
    if out.exit != DONE or out.present is not False:
        return out.exit
    with following(f"drill, restore {endpoint}") as follow:
        back = run(fleet, Request(RESTORE, found, member, reason="drill"), follow)
    _print(back)
    return back.exit


def _print(outcome: Outcome) -> None:
    for name, seconds in outcome.timings:
        click.echo(f"{seconds:8.2f} s  {name}")
    say(clean(outcome.line, LINE))
