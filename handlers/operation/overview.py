"""The state of every endpoint now: a look at each, and what its routing daemon says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anycast_checks.line import clean
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState

from ..endpoint.look import Look
from ..endpoint.site import Site
from ..errors import ConfigurationError, HandlerError, UncountableError, UnreachableError
from ..fleet.values import Endpoint, Fleet, Member, Vip, grouped_by_host
from ..routing import tally
from ..routing.see import first_questions, see_routing
from ..transport.along import Along
from ..transport.clock import SILENT_SECONDS, Clock, Deadline, UntilHeard
from ..transport.connections import Connections, FreshConnections
from ..transport.each import Awaited, at_once
from ..transport.shell import Shell
from ..transport.turns import Turns
from .router_ids import FileRouterIds


@dataclass(frozen=True)
class Sight:
    """One VIP on one endpoint, as far as it could be seen.

    Attributes:
        vip: the VIP.
        endpoint: the endpoint.
        look: None where the endpoint could not be asked, and ``error`` says why.
        clock: the endpoint's time in seconds since the epoch; 0 where there is no hold.
        routing: None where it is unknown, and ``routing_unknown`` says why.
    """

    vip: Vip
    endpoint: Endpoint
    look: Look | None = None
    clock: int = 0
    routing: RoutingState | None = None
    routing_unknown: str = ""
    error: str = ""

    @property
    def trouble(self) -> str:
        """What could not be seen of the endpoint itself."""
        return self.error or clean(self.look.trouble if self.look else "")

    @property
    def announced(self) -> bool | None:
        """Whether the endpoint announces the VIP; None where that is unknown."""
        return self.routing.announced if self.routing else None


def look_at_all(
    fleet: Fleet,
    vips: Sequence[Vip],
    daemons: Sequence[RoutingDaemon],
    clock: Clock,
    seconds: float,
    site: str | None = None,
    awaited: Awaited | None = None,
) -> list[Sight]:
    """Look at every endpoint of some VIPs at once, or of one site.

    A host that carries several of the VIPs is logged in to once. Each VIP there may take
    ``seconds``, and a host that hangs is given up after as many, or one of which nothing is heard
    after SILENT_SECONDS. ``awaited`` is told which are waited for.

    Raises:
        ConfigurationError: the identity or the known_hosts file cannot be used.
    """
    connections = FreshConnections(fleet.ssh, Turns(clock))
    every = [(vip, one) for vip in vips for one in vip.endpoints if site in (None, one.site)]
    hosts = grouped_by_host(every)
    awaited = awaited or Awaited()
    awaited.expect(of[0][1].name for of in hosts)

    def look(members: list[Member]) -> list[Sight]:
        with awaited.coming(members[0][1].name):
            return _look_at(members, connections, daemons, Deadline(clock, seconds))

    sights = [sight for of_host in at_once(look, hosts) for sight in of_host]
    found = {(sight.vip.name, sight.endpoint.name): sight for sight in sights}
    return [found[vip.name, one.name] for vip, one in every]


def find_strangers(fleet: Fleet, vip: Vip, sights: Sequence[Sight]) -> tuple[str, ...]:
    """List the router-ids of those who announce a VIP and are no endpoint, as far as is known."""
    seen = {sight.endpoint.name: sight.routing for sight in sights if sight.routing}
    return tally.find_strangers(vip, seen, FileRouterIds(fleet.paths.state).known(vip))


def _look_at(
    members: Sequence[Member],
    connections: Connections,
    daemons: Sequence[RoutingDaemon],
    deadline: Deadline,
) -> list[Sight]:
    """Look at all VIPs of one host."""
    sights: list[Sight] = []
    connecting = UntilHeard(deadline.clock, deadline.seconds, SILENT_SECONDS)
    try:
        with connections.open(members[0][1], deadline, connecting) as shell:
            for vip, endpoint in members:
                before = deadline.elapsed
                sights.append(_look_at_vip(vip, endpoint, shell, daemons))
                if deadline.passed:
                    break
                # The time that was needed for this VIP is not to be missing for the next one.
                deadline.put_off(deadline.elapsed - before)
    except ConfigurationError:
        raise
    except HandlerError as error:
        why = clean(str(error))
    else:
        why = "it took too long to look at the VIPs there before this one"
    return sights + [Sight(*member, error=why) for member in members[len(sights) :]]


def _look_at_vip(
    vip: Vip, endpoint: Endpoint, shell: Shell, daemons: Sequence[RoutingDaemon]
) -> Sight:
    try:
        shell = Along(shell, first_questions(shell, vip, daemons))
        site = Site(shell, vip)
        look = site.look()
        clock = site.clock() if look.hold else 0
        try:
            routing = see_routing(shell, vip, daemons)
        except UncountableError as error:
            return Sight(vip, endpoint, look, clock, routing_unknown=clean(str(error)))
        return Sight(vip, endpoint, look, clock, routing)
    except UnreachableError:
        raise
    except HandlerError as error:
        return Sight(vip, endpoint, error=clean(str(error)))
