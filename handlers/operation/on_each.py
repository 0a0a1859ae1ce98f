"""Carries out an order about holds on one endpoint, or on every endpoint of a VIP at once."""

from __future__ import annotations

from collections.abc import Callable

from ..decision.facts import Policy, State
from ..endpoint.site import Site
from ..errors import ChangedMeanwhileError, HandlerError
from ..fleet.values import Endpoint, Fleet
from ..transport.clock import RUN_SECONDS, Clock, Deadline
from ..transport.connections import Connections, FreshConnections
from ..transport.each import at_once
from ..transport.turns import Turns
from .operate import Host, record
from .outcome import Outcome
from .request import Case, Request

# Does something on one endpoint; returns in words what was done, or raises HandlerError.
Do = Callable[[Site], str]


def on_each(
    fleet: Fleet, request: Request, endpoints: tuple[Endpoint, ...], do: Do, host: Host
) -> list[Outcome]:
    """Do something on each endpoint, and log it.

    Args:
        fleet: the fleet file.
        request: the request of the verb; each endpoint takes the place of the one in it.
        endpoints: where it is done.
        do: what is done on an endpoint.
        host: this monitoring host.

    Returns:
        An outcome for each endpoint, in their order.
    """
    deadline = Deadline(host.clock, RUN_SECONDS)
    connections = FreshConnections(fleet.ssh, Turns(host.clock))
    requests = [request._replace(endpoint=endpoint) for endpoint in endpoints]
    outcomes = at_once(lambda r: _on_one(r, do, connections, host.clock), requests)
    for outcome in outcomes:
        record(host.log, outcome, deadline)
    return outcomes


def _on_one(request: Request, do: Do, connections: Connections, clock: Clock) -> Outcome:
    outcome = Outcome(request, clock)
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
    return outcome


def _do_again(do: Do, site: Site) -> str:
    """Do it, and once more where something has changed on the endpoint meanwhile."""
    try:
        return do(site)
    except ChangedMeanwhileError:
        return do(site)
