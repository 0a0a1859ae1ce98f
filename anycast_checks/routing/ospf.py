"""Which routers announce a VIP in OSPFv2, from the link-state database of one router.

The link-state database is the same on every router of an area, so one router knows all of them. A
router announces the VIP if it has a fresh LSA for exactly VIP/32: a stub link in its router LSA
(`network`), an AS-external or an NSSA-external LSA (`redistribute connected`). The LSAs of a dead
host stay for up to an hour, so only those routers count that can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import CountUnknownError
from .daemon import Adjacency, RoutingDaemon, RoutingState, Unknown
from .ospf_lsa import Area, Kind, LinkKind, Lsa, Neighbor, View

FULL, TWO_WAY = "Full", "2-Way"
SILENT = ("Down", "Attempt")  # of a neighbor that is configured by hand (RFC 2328, 10.1)
MAX_AGE = 3600
FOR_ONE_ADDRESS = (Kind.SUMMARY, Kind.EXTERNAL, Kind.NSSA_EXTERNAL)
_HOST_MASK, _HOST_LENGTH = "255.255.255.255", 32


def judge(daemon: RoutingDaemon, view: View, vip: str) -> RoutingState:
    """Say what a view of the link-state database means for a VIP.

    Args:
        daemon: the routing daemon that gave the view.
        view: the answer to the questions about this very VIP.
        vip: a literal IPv4 address.
    """
    try:
        found: frozenset[str] | Unknown = announcers(view, vip)
        if is_alone(view):
            # Such a router knows only its own announcement.
            found = Unknown(f"{view.router_id} reaches no other router in {daemon.protocol}")
    except CountUnknownError as error:
        found = Unknown(str(error))
    return RoutingState(
        daemon,
        view.router_id,
        announces(view, vip),
        found,
        adjacencies(view.neighbors),
        f"area {' and '.join(sorted(area.id for area in areas(view))) or 'none'}",
    )


def announcers(view: View, vip: str) -> frozenset[str]:
    """Find the routers that announce exactly VIP/32 and that can be reached.

    The router that was asked is one of them if it announces the VIP itself. Of another area a
    router sees only summaries, which the border router makes. One summary can stand for many
    endpoints, so with a summary of the VIP there is no number. (The AS-external LSA that the border
    router of an NSSA makes is a summary too, and the border router is no endpoint.) Endpoints of an
    area of which nothing is seen here are not counted. For that reason the number can be too small,
    but it is never too large.

    Args:
        view: the answer to the questions about this very VIP.
        vip: the VIP, as a literal IPv4 address.

    Returns:
        The router-ids.

    Raises:
        CountUnknownError: another area has endpoints too, or the router itself is in several areas.
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


def is_alone(view: View) -> bool:
    """Tell whether the router that was asked reaches no other one."""
    lsas = _flooded(view)
    routers = {lsa.router for lsa in lsas if lsa.kind is Kind.ROUTER}
    return not (_reachable(view.router_id, lsas) & routers) - {view.router_id}


def announces(view: View, vip: str) -> bool:
    """Tell whether the router that was asked has a fresh LSA of its own for exactly VIP/32."""
    return any(lsa.router == view.router_id and _announces(lsa, vip) for lsa in _flooded(view))


def areas(view: View) -> tuple[Area, ...]:
    """List the areas in which the router has an active interface, and so takes part."""
    return tuple(area for area in view.areas if area.interfaces)


def adjacencies(neighbors: Sequence[Neighbor]) -> tuple[Adjacency, ...]:
    """Judge the neighbors of a router."""
    missing = unsettled(neighbors)
    return tuple(
        Adjacency(
            one.name,
            one.interface,
            one.state,
            is_up=one.state == FULL,
            is_settled=one not in missing,
            is_silent=one.state in SILENT,
        )
        for one in neighbors
    )


def unsettled(neighbors: Sequence[Neighbor]) -> tuple[Neighbor, ...]:
    """List the neighbors with which the router should exchange routes but does not."""
    full = {neighbor.interface for neighbor in neighbors if neighbor.state == FULL}
    return tuple(
        neighbor
        for neighbor in neighbors
        if neighbor.state != FULL
        # Two routers stay 2-Way where neither of them is the designated router of their network.
        and not (neighbor.state == TWO_WAY and neighbor.interface in full)
    )


def _flooded(view: View) -> list[Lsa]:
    """Select the fresh LSAs of the router's areas; AS-external LSAs reach no stub area or NSSA."""
    attached: set[str | None] = {area.id for area in areas(view)}
    if not attached or any(area.kind == "normal" for area in areas(view)):
        attached.add(None)
    return [lsa for lsa in view.lsas if lsa.area in attached and _is_fresh(lsa, view.router_id)]


def _is_fresh(lsa: Lsa, asked: str) -> bool:
    # With flood reduction (RFC 4136) nobody refreshes an LSA, so its age tells nothing. FRR goes on
    # counting the age of its own ones nevertheless.
    timeless = lsa.do_not_age or lsa.router == asked
    return lsa.age < MAX_AGE or (timeless and not lsa.flushed)


def _announces(lsa: Lsa, vip: str) -> bool:
    if lsa.kind is Kind.ROUTER:
        return (LinkKind.STUB, vip, _HOST_MASK) in lsa.links
    return lsa.kind in (Kind.EXTERNAL, Kind.NSSA_EXTERNAL) and _is_for(lsa, vip)


def _is_for(lsa: Lsa, vip: str) -> bool:
    return lsa.id == vip and lsa.prefix_length == _HOST_LENGTH


def _reachable(start: str, lsas: list[Lsa]) -> set[str]:
    """Find all routers and networks that can be reached over links which both ends list."""
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
    """Map each router (its id) and network ("net" and the address of its DR) to what it lists."""
    ends: dict[str, set[str]] = {}
    for lsa in lsas:
        if lsa.kind is Kind.NETWORK:
            # A designated router that has changed its router-id has left an old LSA behind. Only
            # the routers that both LSAs list are certainly attached.
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
