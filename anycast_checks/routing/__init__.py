"""What a routing daemon says about a VIP: one file a daemon and protocol, and their registry."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import OtherDaemonError, RoutingUnreadableError
from . import frr_ospf, quagga_ospf
from .daemon import Ask, RoutingDaemon, RoutingState

# In the order in which they are asked, until one is there. A new daemon is a line here.
DAEMONS: tuple[RoutingDaemon, ...] = (frr_ospf.DAEMON, quagga_ospf.DAEMON)


def see(vip: str, ask: Ask, daemons: Sequence[RoutingDaemon] = DAEMONS) -> RoutingState:
    """Ask the routing daemon of a router about a VIP: the first known one that is there.

    Args:
        vip: a literal address.
        ask: runs a command on that router; what it raises goes on.
        daemons: the known ones.

    Raises:
        RoutingUnreadableError: the answer, or a part of it, cannot be had.
    """
    missing: RoutingUnreadableError = RoutingUnreadableError("no routing daemon is known")
    for daemon in daemons:
        try:
            return daemon.see(vip, ask)
        except OtherDaemonError as error:
            missing = error
    raise missing
