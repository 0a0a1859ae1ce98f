"""Ask the routing daemons of an endpoint about a VIP, of those that may announce it."""

from __future__ import annotations

from collections.abc import Sequence

from anycast_checks import routing
from anycast_checks.errors import CheckError
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState

from ..errors import OutcomeUnknownError, UncountableError
from ..fleet.values import Vip
from ..transport.shell import Query, Shell
from .ask import asking, command_of


def daemons_of(vip: Vip, daemons: Sequence[RoutingDaemon]) -> list[RoutingDaemon]:
    """Select the routing daemons that may announce a VIP, as the fleet file says.

    Raises:
        UncountableError: no routing daemon announces it.
    """
    if vip.routing == "none":
        raise UncountableError('routing = "none": no routing daemon is asked')
    return [one for one in daemons if vip.routing in ("auto", one.protocol.lower())]


def first_questions(
    shell: Shell, vip: Vip, daemons: Sequence[RoutingDaemon], *, all_of_them: bool = False
) -> tuple[Query, ...]:
    """Give what `see_routing` asks first, which in peace is all that it asks; empty where nothing.

    Whoever has other questions at that moment can ask all in one command.
    """
    try:
        able = [one for one in daemons_of(vip, daemons) if one.carries(vip.address)]
    except UncountableError:
        return ()
    asked = (command_of(shell, one.question(vip.address)) for one in able)
    return tuple(map(Query, dict.fromkeys(asked)))[: None if all_of_them else 1]


def router_id_of(state: RoutingState) -> str:
    """Give the router-id by which the others know a router in OSPF; empty where it has none."""
    every = (state, *state.beside)
    return next((one.router_id for one in every if one.daemon.shows_all), "")


def see_routing(
    shell: Shell, vip: Vip, daemons: Sequence[RoutingDaemon], *, all_of_them: bool = False
) -> RoutingState:
    """Ask the routing daemons of an endpoint about the VIP.

    Each question is a process of the daemon's program there. So they are asked one after the other,
    until one announces the VIP; with ``all_of_them`` all are.

    Raises:
        UncountableError: a daemon cannot be asked, or its answer makes no sense.
        HandlerError: the endpoint cannot be asked.
    """
    try:
        able = daemons_of(vip, daemons)
        return routing.see(vip.address, asking(shell), able, all_of_them=all_of_them)
    except CheckError as error:
        raise UncountableError(str(error)) from error
    except OutcomeUnknownError as error:
        raise UncountableError(f"the routing daemon gave no answer: {error.why}") from error
