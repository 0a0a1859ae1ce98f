"""The closed list of an endpoint: every command of the acts and of the examinations.

The list is made here and not in gate/, because the examinations run commands on an endpoint too,
and gate/ is below this room and may not import them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from threading import Lock

from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState

from ..activators._choice import candidates
from ..endpoint.site import Site
from ..fleet.values import Vip
from ..gate.allowed import Allowed, allowed
from ..gate.files import blocks_of
from .examinations import EXAMINATIONS, HOST_EXAMINATIONS
from .finding import Subject
from .login import LOGIN_EXAMINATIONS

_listing = Lock()


def closed_list(vip: Vip, *, as_root: bool) -> Allowed:
    """List every command that the handler may ever run on an endpoint of a VIP.

    Args:
        vip: the VIP; if its activator is "auto", the commands of every activator are listed.
        as_root: whether the handler logs in as root, and so needs no sudo.

    Raises:
        ConfigurationError: a command cannot be written in the list.
    """
    with _listing:
        return _closed_list(_one_endpoint(vip), as_root=as_root)


def closed_blocks(vip: Vip, *, as_root: bool) -> tuple[str, ...]:
    """Write what the file of the list has for a VIP, a block for each command; see closed_list."""
    with _listing:
        return _closed_blocks(_one_endpoint(vip), as_root=as_root)


def _one_endpoint(vip: Vip) -> Vip:
    """Leave the other endpoints out, which have the same list: a thousand take long to hash."""
    return vip._replace(endpoints=vip.endpoints[:1])


@cache
def _closed_list(vip: Vip, *, as_root: bool) -> Allowed:
    return allowed(vip, DAEMONS, _examine_everything, as_root=as_root)


@cache
def _closed_blocks(vip: Vip, *, as_root: bool) -> tuple[str, ...]:
    return tuple(blocks_of(_closed_list(vip, as_root=as_root)))


def _examine_everything(site: Site, daemons: Sequence[RoutingDaemon]) -> None:
    vip = site.vip
    subject = Subject("", "", vip, vip.endpoints[0], site, (vip,), look=site.look())
    states: list[RoutingState | None] = [RoutingState(daemon) for daemon in daemons]
    for routing in states or [None]:
        for activator in candidates(vip):
            examined = replace(subject, activator=activator, routing=routing)
            for examination in EXAMINATIONS:
                list(examination(examined))
            for of_host in (*LOGIN_EXAMINATIONS, *HOST_EXAMINATIONS):
                list(of_host([examined]))
