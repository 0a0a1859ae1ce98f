"""How many other endpoints announce a VIP: one endpoint's routing tells, or each one is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anycast_checks import routing
from anycast_checks.errors import CheckError
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState, Unknown

from ..endpoint.site import Site
from ..errors import HandlerError, UncountableError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import Deadline
from ..transport.connections import Connections
from ..transport.each import at_once
from ..transport.shell import COMMAND_SECONDS, Shell


class Announced(NamedTuple):
    """The router-ids of those who announce a VIP, and of the router that was asked."""

    by: frozenset[str]
    asked: str

    def others_than(self, router_id: str) -> int:
        """Count the announcing routers without one of them."""
        return len(self.by - {router_id})


class Others(NamedTuple):
    """How many other endpoints announce a VIP.

    ``own`` tells whether the endpoint announces the VIP itself; None where its routing was not
    asked.
    """

    number: int
    own: bool | None = None


def see_routing(shell: Shell, vip: Vip, daemons: Sequence[RoutingDaemon]) -> RoutingState:
    """Ask the routing daemon of an endpoint about the VIP.

    Raises:
        UncountableError: the daemon cannot be asked, or its answer makes no sense.
        HandlerError: the endpoint cannot be asked.
    """
    try:
        return routing.see(vip.address, shell.run, daemons)
    except CheckError as error:
        raise UncountableError(str(error)) from error


def count_announcers(state: RoutingState) -> Announced:
    """Read from the state of the routing who announces the VIP.

    Raises:
        UncountableError: the state does not tell.
    """
    if not any(adjacency.is_up for adjacency in state.adjacencies):
        # A router without a Full adjacency knows only its own announcement, so the count would be
        # wrong.
        protocol = state.daemon.protocol
        raise UncountableError(f"{state.router_id} has no {protocol} adjacency that is Full")
    if isinstance(state.announcers, Unknown):
        raise UncountableError(state.announcers.why)
    return Announced(state.announcers, state.router_id)


class Counter:
    """Counts who announces a VIP, for one run on one of its endpoints."""

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        connections: Connections,
        daemons: Sequence[RoutingDaemon],
        deadline: Deadline,
    ) -> None:
        """Count for an endpoint.

        Args:
            vip: the VIP whose announcers are counted.
            endpoint: the endpoint of the run, which is not one of the others.
            connections: lead to the other endpoints.
            daemons: the routing daemons that may run on an endpoint.
            deadline: the deadline of the run.
        """
        self._vip = vip
        self._endpoint = endpoint
        self._connections = connections
        self._daemons = daemons
        self._deadline = deadline

    def see(self, shell: Shell) -> RoutingState:
        """Ask the routing daemon of an endpoint about the VIP; raises as `see_routing` does."""
        return see_routing(shell, self._vip, self._daemons)

    def announced(self, shell: Shell) -> Announced:
        """Ask it who announces the VIP; raises as `see` and `count_announcers` do."""
        return count_announcers(self.see(shell))

    def others(self, shell: Shell) -> Others:
        """Count the other endpoints that announce the VIP; ``shell`` leads to the run's endpoint.

        Raises:
            UncountableError: the routing there does not tell.
            HandlerError: the endpoint cannot be asked.
        """
        if self._vip.count_by == "ospf":
            announced = self.announced(shell)
            number = announced.others_than(announced.asked)
            return Others(number, own=announced.asked in announced.by)
        others = [other for other in self._vip.endpoints if other is not self._endpoint]
        return Others(sum(at_once(self._carries, others)))

    def _carries(self, endpoint: Endpoint) -> bool:
        # This run holds the lock, so an endpoint that hangs must not keep other runs waiting.
        soon = self._deadline.within(COMMAND_SECONDS)
        try:
            with self._connections.open(endpoint, soon) as shell:
                return Site(shell, self._vip).is_present()
        except HandlerError:
            return False  # an endpoint that cannot be asked is not counted
