"""Examine many endpoints at once, and compare what was found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingDaemon

from ..endpoint.site import Site
from ..errors import ConfigurationError, HandlerError, RejectedError
from ..fleet.values import Endpoint, Fleet, Vip
from ..operation.router_ids import FileRouterIds
from ..transport.clock import Clock, Deadline
from ..transport.connections import Connections, FreshConnections
from ..transport.each import at_once
from ..transport.refusal import GatedShell
from ..transport.turns import Turns
from .closed_list import closed_list
from .examine import examine
from .finding import Examined, Finding, Subject
from .routing import compare, strangers

SECONDS = 60.0
CONNECT_SECONDS = 15.0


class Chosen(NamedTuple):
    """One VIP on one endpoint that is to be examined, and its name in findings."""

    name: str
    vip: Vip
    endpoint: Endpoint


def survey(
    fleet: Fleet, chosen: Sequence[Chosen], daemons: Sequence[RoutingDaemon], clock: Clock
) -> list[Examined]:
    """Examine endpoints, each by itself and then all compared, and change nothing.

    Raises:
        ConfigurationError: the identity or the known_hosts file cannot be used.
    """
    connections = FreshConnections(fleet.ssh, Turns(clock))
    examined = at_once(lambda one: _examine(fleet, one, connections, daemons, clock), chosen)
    by_name = {one.name: one.findings for one in examined}
    subjects = [one.subject for one in examined if one.subject]
    beside = strangers(subjects, FileRouterIds(fleet.paths.state))
    for finding in (*compare(subjects), *beside):
        by_name[finding.endpoint].append(finding)
    return examined


def _examine(
    fleet: Fleet,
    one: Chosen,
    connections: Connections,
    daemons: Sequence[RoutingDaemon],
    clock: Clock,
) -> Examined:
    deadlines = Deadline(clock, SECONDS), Deadline(clock, CONNECT_SECONDS)
    try:
        with connections.open(one.endpoint, *deadlines) as shell:
            site = Site(GatedShell(shell), one.vip, fleet.siblings(one.vip, one.endpoint))
            needed = partial(closed_list, one.vip, as_root=shell.is_root)
            subject = Subject(one.name, fleet.ssh.user, one.vip, one.endpoint, site, needed=needed)
            return examine(subject, daemons)
    except ConfigurationError:
        raise
    except RejectedError as error:
        return Examined(one.name, [Finding(one.name, error.what, error.remedy)])
    except HandlerError as error:
        return Examined(one.name, [], trouble=str(error))
