"""What a person does about notes, on one endpoint or on every endpoint of a VIP at once."""

from __future__ import annotations

from collections.abc import Callable

import click

from anycast_checks.line import clean

from ..decision.facts import Action, Decision, State
from ..endpoint.site import Site
from ..errors import HandlerError
from ..fleet.values import Endpoint, Fleet
from ..transport.deadline import RUN_SECONDS, Deadline
from ..transport.each import Turns, at_once
from ..transport.shell import open_shell
from .operate import record
from .outcome import Outcome, Request


def on_each(
    fleet: Fleet, request: Request, endpoints: tuple[Endpoint, ...], do: Callable[[Site], str]
) -> int:
    """Do something on each endpoint, log it, and print a line for each.

    Args:
        fleet: the fleet file.
        request: of the verb; its endpoint is replaced by each of them.
        endpoints: on which.
        do: returns what was done, in words, or raises HandlerError.

    Returns:
        The exit code, the highest of all.
    """
    deadline, turns = Deadline(RUN_SECONDS), Turns()
    requests = [request._replace(endpoint=endpoint) for endpoint in endpoints]
    outcomes = at_once(lambda r: _on_one(fleet, r, do, turns), requests)
    for outcome in outcomes:
        record(fleet, outcome, deadline)
        click.echo(clean(outcome.line, 900))
    return max(outcome.exit for outcome in outcomes)


def _on_one(fleet: Fleet, request: Request, do: Callable[[Site], str], turns: Turns) -> Outcome:
    outcome = Outcome(request)
    outcome.decision = Decision(Action(request.verb), "by-hand", "by hand", State.OK)
    try:
        deadline = Deadline(RUN_SECONDS)
        with open_shell(request.endpoint, fleet.ssh, deadline, turns=turns) as shell:
            what = do(Site(shell, request.vip, steps=outcome.steps))
        outcome.done(what, State.OK)
    except HandlerError as error:
        outcome.failed(error)
    return outcome
