"""How many others announce the VIP: read from OSPF on an endpoint, or asked of each of them."""

from __future__ import annotations

from typing import NamedTuple

from anycast_checks import ospf
from anycast_checks.errors import CheckError

from .deadline import Deadline
from .each import at_once
from .endpoint import Site
from .errors import HandlerError
from .fleet import Endpoint, Fleet, Vip
from .shell import COMMAND_SECONDS, Shell, open_shell


class Uncountable(Exception):  # noqa: N818 - says what it is
    """It cannot be told who announces the VIP; the text says why."""


class Announced(NamedTuple):
    """Who announces a VIP, as OSPF on one router has it: router-ids, and that router's own."""

    by: frozenset[str]
    asked: str

    def others_than(self, router_id: str) -> int:
        """Count the announcing routers but one."""
        return len(self.by - {router_id})


def ask_ospf(shell: Shell, vip: Vip) -> Announced:
    """Ask the routing daemon of an endpoint who announces the VIP now.

    Raises:
        Uncountable: no vtysh there, no permission, several areas, no neighbor, or an answer
            without sense.
        HandlerError: the endpoint cannot be asked.
    """
    try:
        view = ospf.look(vip.address, shell.run)
        if not any(neighbor.state == "Full" for neighbor in view.neighbors):
            # Who is cut off sees nobody, which does not mean that nobody is there.
            raise Uncountable(f"{view.router_id} has no OSPF adjacency that is Full")
        return Announced(ospf.announcers(view, vip.address), view.router_id)
    except CheckError as error:
        raise Uncountable(str(error)) from error


def is_in_ospf(shell: Shell, vip: Vip) -> bool:
    """Tell whether the endpoint's own LSA for the VIP is there; raises as ask_ospf does."""
    try:
        return ospf.announces(ospf.look(vip.address, shell.run), vip.address)
    except CheckError as error:
        raise Uncountable(str(error)) from error


def count_others(
    fleet: Fleet, vip: Vip, endpoint: Endpoint, shell: Shell, deadline: Deadline
) -> int:
    """Count the other endpoints that announce the VIP.

    Raises:
        Uncountable: it cannot be told.
        HandlerError: the endpoint cannot be asked.
    """
    if vip.count_by == "ospf":
        announced = ask_ospf(shell, vip)
        return announced.others_than(announced.asked)
    others = [other for other in vip.endpoints if other is not endpoint]
    return sum(at_once(lambda other: _announces(fleet, vip, other, deadline), others))


def _announces(fleet: Fleet, vip: Vip, endpoint: Endpoint, deadline: Deadline) -> bool:
    # The lock is held: who hangs must not keep the others waiting.
    soon = Deadline(deadline.left(COMMAND_SECONDS))
    try:
        with open_shell(endpoint, fleet.ssh, soon) as shell:
            return Site(shell, vip).is_announced()
    except HandlerError:
        return False  # who cannot be asked is not counted
