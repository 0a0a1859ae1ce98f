"""The closed list of an endpoint: every command of the acts and of the examinations.

It stands here because the examinations ask on an endpoint too, and the gate's room, below this one,
does not know them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState

from ..activators._choice import candidates
from ..endpoint.site import Site
from ..fleet.values import Vip
from ..gate.allowed import Command, commands
from .examine import EXAMINATIONS
from .finding import Subject


def closed_list(vip: Vip, *, as_root: bool) -> tuple[Command, ...]:
    """List every command that the handler may ever run on an endpoint of a VIP.

    Args:
        vip: with activator "auto", the commands of every activator are listed.
        as_root: whether the handler logs in as root, and needs no sudo.

    Raises:
        ConfigurationError: one of them cannot be written down.
    """
    return commands(vip, DAEMONS, _examine_everything, as_root=as_root)


def _examine_everything(site: Site, daemons: Sequence[RoutingDaemon]) -> None:
    look = site.look()
    subject = Subject("", "", site.vip, site.vip.endpoints[0], site, look)
    for daemon in daemons:
        for activator in candidates(site.vip):
            for examination in EXAMINATIONS:
                state = RoutingState(daemon)
                list(examination(replace(subject, activator=activator, routing=state)))
