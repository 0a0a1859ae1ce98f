"""What a routing daemon says about a VIP: a file for each daemon and protocol, and the registry."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import NoDaemonError, NotStartedError, OtherDaemonError, RoutingUnreadableError
from . import frr_ospf, quagga_ospf
from .daemon import Ask, RoutingDaemon, RoutingState

# `see` asks them in this order until one answers. A new daemon gets a line here.
DAEMONS: tuple[RoutingDaemon, ...] = (frr_ospf.DAEMON, quagga_ospf.DAEMON)


def see(vip: str, ask: Ask, daemons: Sequence[RoutingDaemon] = DAEMONS) -> RoutingState:
    """Ask the routing daemon of a router about a VIP.

    Args:
        vip: the VIP, as a literal address.
        ask: function that runs a command on that router; of its exceptions only a NotStartedError
            is caught, which means that the daemon is not there.
        daemons: all known daemons, of which the first one that runs on the router is asked.

    Raises:
        RoutingUnreadableError, NotStartedError: no daemon gave a complete answer.
    """
    absent = other = None
    for daemon in daemons:
        try:
            return daemon.see(vip, ask)
        except (NoDaemonError, NotStartedError) as error:
            absent = absent or error
        except OtherDaemonError as error:
            other = error
    # A daemon that is there and was not understood says more than one that is not there.
    raise other or absent or RoutingUnreadableError("no routing daemon is known")
