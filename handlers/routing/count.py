"""How many others announce the VIP: told by an endpoint's routing, or asked of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anycast_checks import routing
from anycast_checks.errors import CheckError
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState, Unknown

from ..endpoint.site import Site
from ..errors import HandlerError, UncountableError
from ..fleet.values import Endpoint, Fleet, Vip
from ..transport.deadline import Deadline
from ..transport.each import at_once
from ..transport.shell import COMMAND_SECONDS, Shell, open_shell


class Announced(NamedTuple):
    """Who announces a VIP, as one router has it: router-ids, and the asked router's own."""

    by: frozenset[str]
    asked: str

    def others_than(self, router_id: str) -> int:
        """Count the announcing routers but one."""
        return len(self.by - {router_id})


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
    """Take from the state of the routing who announces the VIP.

    Raises:
        UncountableError: it cannot be told.
    """
    if not any(adjacency.is_up for adjacency in state.adjacencies):
        # A router without a neighbor knows only its own announcement: the count would be wrong.
        protocol = state.daemon.protocol
        raise UncountableError(f"{state.router_id} has no {protocol} adjacency that is Full")
    if isinstance(state.announcers, Unknown):
        raise UncountableError(state.announcers.why)
    return Announced(state.announcers, state.router_id)


def count_others(
    fleet: Fleet,
    vip: Vip,
    endpoint: Endpoint,
    shell: Shell,
    deadline: Deadline,
    daemons: Sequence[RoutingDaemon],
) -> int:
    """Count the other endpoints that announce the VIP.

    Raises:
        UncountableError: it cannot be told.
        HandlerError: the endpoint cannot be asked.
    """
    if vip.count_by == "ospf":
        announced = count_announcers(see_routing(shell, vip, daemons))
        return announced.others_than(announced.asked)
    others = [other for other in vip.endpoints if other is not endpoint]
    return sum(at_once(lambda other: _announces(fleet, vip, other, deadline), others))


def _announces(fleet: Fleet, vip: Vip, endpoint: Endpoint, deadline: Deadline) -> bool:
    # The lock is held: an endpoint that hangs must not keep the others waiting.
    soon = Deadline(deadline.left(COMMAND_SECONDS))
    try:
        with open_shell(endpoint, fleet.ssh, soon) as shell:
            return Site(shell, vip).is_announced()
    except HandlerError:
        return False  # an endpoint that cannot be asked is not counted
