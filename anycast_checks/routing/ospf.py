"""Who announces a VIP in OSPFv2, from the link-state database of one router; nothing here asks.

The link-state database is the same on every router of an area, so one router knows them all. A
router announces the VIP where a fresh LSA of it is for exactly VIP/32: a stub link in its router
LSA (`network`), an AS-external or an NSSA-external LSA (`redistribute connected`). The LSAs of a
dead host stay for up to an hour: only those count to which there is a way.
"""

from __future__ import annotations

from ..errors import CountUnknownError
from .daemon import Adjacency, RoutingDaemon, RoutingState, Unknown
from .ospf_lsa import Area, Kind, LinkKind, Lsa, Neighbor, View

FULL, TWO_WAY = "Full", "2-Way"
MAX_AGE = 3600
FOR_ONE_ADDRESS = (Kind.SUMMARY, Kind.EXTERNAL, Kind.NSSA_EXTERNAL)
_HOST_MASK, _HOST_LENGTH = "255.255.255.255", 32


def judge(daemon: RoutingDaemon, view: View, vip: str) -> RoutingState:
    """Say what a view of the link-state database means for a VIP.

    Args:
        daemon: which gave the view.
        view: what was read of the answer for this very VIP.
        vip: a literal IPv4 address.
    """
    try:
        found: frozenset[str] | Unknown = announcers(view, vip)
    except CountUnknownError as error:
        found = Unknown(str(error))
    missing = unsettled(view)
    return RoutingState(
        daemon,
        view.router_id,
        announces(view, vip),
        found,
        tuple(
            Adjacency(
                one.router_id, one.interface, one.state, one.state == FULL, one not in missing
            )
            for one in view.neighbors
        ),
        " and ".join(sorted(area.id for area in areas(view))) or "none",
    )


def announcers(view: View, vip: str) -> frozenset[str]:
    """Find the routers that announce exactly VIP/32, and to which there is a way.

    The router that was asked is one of them where it announces the VIP itself. Two areas know of
    each other only what their border router sums up, in which one route can stand for many
    endpoints; then there is no number. (An NSSA's AS-external LSA made by its border router is
    such a sum: the border router is no endpoint.) Endpoints of another area of which nothing at
    all is seen here are not counted: the number can be too small for that, never too large.

    Args:
        view: what was read of the answer for this very VIP.
        vip: a literal IPv4 address.

    Returns:
        router-ids.

    Raises:
        CountUnknownError: endpoints of another area take part, or the router is in several.
    """
    attached = areas(view)
    if len(attached) > 1:
        names = " and ".join(area.id for area in attached)
        raise CountUnknownError(f"{view.router_id} is in the areas {names}: none shows them all")
    lsas = _flooded(view)
    reached = _reachable(view.router_id, lsas)
    borders = {lsa.router for lsa in lsas if lsa.border} & reached
    _refuse_sums(lsas, vip, reached, borders)
    return frozenset(lsa.router for lsa in lsas if _announces(lsa, vip)) & reached


def announces(view: View, vip: str) -> bool:
    """Tell whether the router that was asked has a fresh LSA of its own for exactly VIP/32."""
    return any(lsa.router == view.router_id and _announces(lsa, vip) for lsa in _flooded(view))


def areas(view: View) -> tuple[Area, ...]:
    """List the areas that the router takes part in: those where it has an active interface."""
    return tuple(area for area in view.areas if area.interfaces)


def unsettled(view: View) -> tuple[Neighbor, ...]:
    """List the neighbors with which the router should exchange routes, and does not."""
    full = {neighbor.interface for neighbor in view.neighbors if neighbor.state == FULL}
    return tuple(
        neighbor
        for neighbor in view.neighbors
        if neighbor.state != FULL
        # Behind a designated router the others stay 2-Way to each other.
        and not (neighbor.state == TWO_WAY and neighbor.interface in full)
    )


def _flooded(view: View) -> list[Lsa]:
    """Select the fresh LSAs of the router's areas; AS-external ones reach no stub area or NSSA."""
    attached: set[str | None] = {area.id for area in areas(view)}
    if not attached or any(area.kind == "normal" for area in areas(view)):
        attached.add(None)
    return [lsa for lsa in view.lsas if lsa.age < MAX_AGE and lsa.area in attached]


def _announces(lsa: Lsa, vip: str) -> bool:
    if lsa.kind is Kind.ROUTER:
        return (LinkKind.STUB, vip, _HOST_MASK) in lsa.links
    return lsa.kind in (Kind.EXTERNAL, Kind.NSSA_EXTERNAL) and _is_for(lsa, vip)


def _is_for(lsa: Lsa, vip: str) -> bool:
    return lsa.id == vip and lsa.prefix_length == _HOST_LENGTH


def _reachable(start: str, lsas: list[Lsa]) -> set[str]:
    """Walk from a router over the links that both ends list."""
    ends = _ends(lsas)
    reached, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for there in ends.get(here, set()) - reached:
            if here in ends.get(there, set()):
                reached.add(there)
                todo.append(there)
    return reached


def _ends(lsas: list[Lsa]) -> dict[str, set[str]]:
    """Map routers (by id) and networks (by "net" and their DR's address) to what they list."""
    ends: dict[str, set[str]] = {}
    for lsa in lsas:
        if lsa.kind is Kind.NETWORK:
            # Whoever changed its router-id has left another one: what both list is true.
            attached = set(lsa.attached)
            ends[f"net {lsa.id}"] = attached & ends.get(f"net {lsa.id}", attached)
        elif lsa.kind is Kind.ROUTER:
            listed = ends.setdefault(lsa.router, set())
            for link in lsa.links:
                if link.kind is not LinkKind.STUB:
                    listed.add(f"net {link.to}" if link.kind is LinkKind.TRANSIT else link.to)
    return ends


def _refuse_sums(lsas: list[Lsa], vip: str, reached: set[str], borders: set[str]) -> None:
    beyond = {lsa.id for lsa in lsas if lsa.kind is Kind.ASBR_SUMMARY and lsa.router in borders}
    for lsa in lsas:
        if lsa.kind in FOR_ONE_ADDRESS and _is_for(lsa, vip):
            from_border = lsa.router in borders
            if from_border or (lsa.router in beyond and lsa.router not in reached):
                what = "sums up" if from_border else "announces"
                raise CountUnknownError(f"{lsa.router} {what} {vip} from another area")
