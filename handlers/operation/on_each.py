"""Carries out an order about holds on one endpoint, or on every endpoint of a VIP at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ..decision.facts import Policy, State
from ..endpoint.site import Site
from ..errors import ChangedMeanwhileError, HandlerError
from ..fleet.values import Endpoint, Fleet
from ..transport.clock import RUN_SECONDS, Clock, Deadline
from ..transport.connections import Connections, FreshConnections
from ..transport.each import Answers, Awaited
from ..transport.turns import Turns
from .operate import Host, record
from .outcome import Outcome
from .request import Case, Request

# The endpoint waits 2 s each time for a run that acts there, for which 12 s are much.
MOST_TRIES = 6
# Does something on one endpoint; returns in words what was done, or raises HandlerError.
Do = Callable[[Site], str]


def on_each(
    fleet: Fleet,
    request: Request,
    endpoints: tuple[Endpoint, ...],
    do: Do,
    host: Host,
    awaited: Awaited | None = None,
) -> list[Outcome]:
    """Do something on each endpoint, and log each outcome as soon as it is known.

    Args:
        fleet: the fleet file.
        request: the request of the verb; each endpoint takes the place of the one in it.
        endpoints: where it is done.
        do: what is done on an endpoint.
        host: this monitoring host.
        awaited: is told which endpoints are waited for.

    Returns:
        An outcome for each endpoint, in their order.
    """
    deadline = Deadline(host.clock, RUN_SECONDS)
    connections = FreshConnections(fleet.ssh, Turns(host.clock))
    outcomes = [Outcome(request._replace(endpoint=one), host.clock) for one in endpoints]
    left = set(outcomes)
    awaited = awaited or Awaited()
    awaited.expect(one.name for one in endpoints)

    def carry_out(outcome: Outcome) -> None:
        with awaited.coming(outcome.request.endpoint.name):
            _carry_out(outcome, do, connections, host.clock)

    try:
        running = Answers(carry_out, outcomes)
        while left:
            if ended := running.next(RUN_SECONDS):
                record(host.log, ended[0], deadline)
                left.remove(ended[0])
    except BaseException as error:
        # A signal, or a fault of this program, ends the run; the record of what it did until then
        # must not be lost.
        for outcome in outcomes:
            if outcome in left and outcome.steps:
                if not outcome.text:
                    outcome.interrupted(error)
                record(host.log, outcome, deadline)
        raise
    return outcomes


def _carry_out(outcome: Outcome, do: Do, connections: Connections, clock: Clock) -> None:
    request = outcome.request
    outcome.decided(request.verb.decide(Case(request, Policy())))
    deadline = Deadline(clock, RUN_SECONDS)
    try:
        with connections.open(request.endpoint, deadline) as shell:
            site = Site(shell, request.vip, clock=clock)
            outcome.steps = site.steps
            what = _do_again(do, site)
        outcome.done(what, State.OK)
    except HandlerError as error:
        outcome.failed(error)


def _do_again(do: Do, site: Site) -> str:
    """Do it, and again where something changes on the endpoint, or another run acts there."""
    for _ in range(MOST_TRIES - 1):
        with suppress(ChangedMeanwhileError):
            return do(site)
    return do(site)
