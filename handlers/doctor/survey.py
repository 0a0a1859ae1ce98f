"""Examine many endpoints at once, and compare what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingDaemon

from ..errors import ConfigurationError, HandlerError, RejectedError
from ..fleet.values import Endpoint, Fleet, Vip, grouped_by_host
from ..operation.router_ids import FileRouterIds
from ..transport.clock import SILENT_SECONDS, Clock, Deadline, UntilHeard
from ..transport.connections import Connections, FreshConnections
from ..transport.each import Awaited, at_once
from ..transport.turns import Turns
from .causes import by_cause
from .examine import Chosen, examine
from .finding import SEE_SSHD, Examined, Finding, Subject
from .names import compare_names
from .report import once
from .routing import compare_routing, strangers

# An endpoint on which there is just time to act takes 2 s for each of some 50 questions.
SECONDS = 120.0
CONNECT_SECONDS = 15.0


class Surveyed(NamedTuple):
    """How many endpoints there are, what was found, and why some could not be asked.

    Findings and troubles are told once for each cause; ``unasked`` endpoints have the troubles.
    ``choices`` say by which activator each VIP is withdrawn on each endpoint, and why.
    """

    endpoints: int
    findings: list[Finding]
    troubles: list[Finding]
    unasked: int
    choices: list[Finding]


def survey(
    fleet: Fleet,
    members: Sequence[tuple[Vip, Endpoint]],
    daemons: Sequence[RoutingDaemon],
    clock: Clock,
    awaited: Awaited | None = None,
) -> Surveyed:
    """Examine endpoints, each by itself and then all compared, and change nothing.

    Args:
        fleet: the fleet.
        members: VIPs and endpoints; an endpoint with several VIPs is logged in to once.
        daemons: the routing daemons that may run there.
        clock: measures and bounds the time.
        awaited: is told which endpoints are waited for.

    Raises:
        ConfigurationError: the identity or the known_hosts file cannot be used.
    """
    connections = FreshConnections(fleet.ssh, Turns(clock))
    hosts = by_host(members)
    names = [one.name for one in hosts]
    awaited = awaited or Awaited()
    awaited.expect(names)

    def look(one: Chosen) -> Examined:
        with awaited.coming(one.name):
            return _examine(fleet, one, connections, daemons, clock)

    examined = at_once(look, hosts)
    subjects = [subject for one in examined for subject in one.subjects]
    findings = by_cause((finding for one in examined for finding in one.findings), names)
    # In these each finding is about several endpoints, and one pair is another cause than the next.
    compared = [*compare_routing(subjects), *compare_names(fleet, subjects)]
    compared += strangers(subjects, FileRouterIds(fleet.paths.state))
    findings = sorted([*findings, *once(compared)], key=lambda one: one.is_hint)
    troubles = [one.trouble for one in examined if one.trouble]
    causes = by_cause(troubles, names)
    return Surveyed(len(hosts), findings, causes, len(troubles), _choices(subjects))


def _choices(subjects: Sequence[Subject]) -> list[Finding]:
    """Say of each VIP by which activator it would be withdrawn."""
    known = ((one, one.activator.name) for one in subjects if one.activator)
    return [
        Finding(one.name, f"{one.vip.address} would be withdrawn by {by}: {one.why}")
        for one, by in known
    ]


def by_host(members: Sequence[tuple[Vip, Endpoint]]) -> list[Chosen]:
    """Group VIPs and endpoints by the host; an ambiguous name is told with that of the VIP."""
    hosts = grouped_by_host(members)
    names = [of[0][1].name for of in hosts]
    return [
        Chosen(
            endpoint.name if names.count(endpoint.name) == 1 else f"{endpoint.name} ({vip.name})",
            tuple(of),
        )
        for of in hosts
        for vip, endpoint in of[:1]
    ]


def _examine(
    fleet: Fleet,
    one: Chosen,
    connections: Connections,
    daemons: Sequence[RoutingDaemon],
    clock: Clock,
) -> Examined:
    deadline = Deadline(clock, SECONDS)
    connecting = UntilHeard(clock, CONNECT_SECONDS, SILENT_SECONDS)
    try:
        with connections.open(one.endpoint, deadline, connecting) as shell:
            # A wait for a turn has put the deadline off, so this is the time of the login alone.
            login_seconds = SECONDS - deadline.left(SECONDS)
            return examine(fleet, one, shell, daemons, login_seconds)
    except ConfigurationError:
        raise
    except RejectedError as error:
        return Examined([Finding(one.name, error.what, error.remedy)])
    except HandlerError as error:
        return Examined([], trouble=Finding(one.name, error.what, error.remedy or SEE_SSHD))
