"""What a routing daemon says about a VIP: a file for each daemon and protocol, and the registry."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import OtherDaemonError, RoutingUnreadableError
from . import frr_ospf, quagga_ospf
from .daemon import Ask, RoutingDaemon, RoutingState

# `see` asks them in this order until one answers. A new daemon gets a line here.
DAEMONS: tuple[RoutingDaemon, ...] = (frr_ospf.DAEMON, quagga_ospf.DAEMON)


def see(vip: str, ask: Ask, daemons: Sequence[RoutingDaemon] = DAEMONS) -> RoutingState:
    """Ask the routing daemon of a router about a VIP.

    Args:
        vip: the VIP, as a literal address.
        ask: function that runs a command on that router; its exceptions are not caught.
        daemons: all known daemons, of which the first one that runs on the router is asked.

    Raises:
        RoutingUnreadableError: no daemon gave a complete answer.
    """
    missing: RoutingUnreadableError = RoutingUnreadableError("no routing daemon is known")
    for daemon in daemons:
        try:
            return daemon.see(vip, ask)
        except OtherDaemonError as error:
            missing = error
    raise missing
