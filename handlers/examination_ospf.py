"""The examinations of OSPF: as one endpoint has it, and of all of them compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anycast_checks import ospf
from anycast_checks.errors import CountUnknownError, OspfUnreadableError
from anycast_checks.ospf import View

from .finding import Examination, Finding, Subject


def see_ospf(subject: Subject) -> tuple[View | None, Finding | None]:
    """Ask the routing daemon; what cannot be asked is a finding that names what is missing."""
    vip = subject.vip
    try:
        return ospf.look(vip.address, subject.site.shell.run), None
    except OspfUnreadableError as error:
        if vip.count_by == "peers":
            missing = "no withdrawal or restore can be verified in OSPF"
            return None, subject.hint(f"{error}: {missing}", "mend it to have that too")
        missing = "nobody can be counted, so nothing is withdrawn, nor anything verified in OSPF"
        remedy = 'mend it; or set count_by = "peers", which counts without OSPF'
        return None, subject.found(f"{error}: {missing}", remedy)


def router_id(subject: Subject) -> Iterator[Finding]:
    """Find a router-id that is, or may one day be, that of another endpoint."""
    view, shell = subject.view, subject.site.shell
    if view is None:
        return
    remedy = f"configure `ospf router-id` with an address of its own, such as {_own(subject)}"
    if view.router_id == subject.vip.address:
        yield subject.found(f"the OSPF router-id is the VIP {view.router_id}", remedy)
    elif ospf.router_id_is_explicit(shell.run) is False:
        yield subject.found(
            f"the OSPF router-id {view.router_id} is not configured, and may become the VIP "
            "when ospfd starts",
            remedy,
        )


def adjacencies(subject: Subject) -> Iterator[Finding]:
    """Find neighbors with which the endpoint exchanges no routes."""
    if subject.view is None:
        return
    remedy = "compare hello and dead intervals, area, network type, MTU and password of both ends"
    if not subject.view.neighbors:
        yield subject.found("there is no OSPF neighbor", remedy)
    for neighbor in ospf.unsettled(subject.view):
        where = f"{neighbor.router_id} on {neighbor.interface}"
        text = f"the OSPF adjacency with {where} is {neighbor.state}, not Full"
        yield subject.found(text, remedy)


def announcement(subject: Subject) -> Iterator[Finding]:
    """Find a VIP that is on lo and not in OSPF, or in OSPF and not on lo."""
    if subject.view is None or subject.look is None:
        return
    vip = subject.vip.address
    announces = ospf.announces(subject.view, vip)
    if subject.look.announced and not announces:
        yield subject.found(
            f"{vip}/32 is on lo, but not announced in OSPF",
            f"add `network {vip}/32 area ...` to ospfd, or let `redistribute connected` permit it",
        )
    elif announces and not subject.look.announced:
        yield subject.found(
            f"{vip}/32 is not on lo, but announced in OSPF",
            "let ospfd announce what is connected, and no static route or other interface",
        )


def countability(subject: Subject) -> Iterator[Finding]:
    """Find an endpoint from which OSPF does not show all the others."""
    if subject.view is None or subject.vip.count_by != "ospf":
        return
    try:
        ospf.announcers(subject.view, subject.vip.address)
    except CountUnknownError as error:
        yield subject.found(f"cannot count in OSPF: {error}", 'set count_by = "peers"')


OSPF_EXAMINATIONS: tuple[Examination, ...] = (
    router_id,
    adjacencies,
    announcement,
    countability,
)


def compare(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find what only shows when endpoints are compared: router-ids and areas."""
    for subject in subjects:
        for other in subjects:
            if subject.endpoint.address != other.endpoint.address:
                yield from _same_router_id(subject, other)
                if other.vip is subject.vip:
                    yield from _other_area(subject, other)


def _same_router_id(subject: Subject, other: Subject) -> Iterator[Finding]:
    if subject.view and other.view and subject.view.router_id == other.view.router_id:
        yield subject.found(
            f"its OSPF router-id {subject.view.router_id} is that of {other.name} too",
            f"configure `ospf router-id` with an address of its own, such as {_own(subject)}",
        )


def _other_area(subject: Subject, other: Subject) -> Iterator[Finding]:
    if subject.view is None or other.view is None or subject.vip.count_by != "ospf":
        return
    here, there = _areas(subject.view), _areas(other.view)
    if here != there:
        yield subject.found(
            f"is in OSPF area {here}, and {other.name} in {there}: they cannot count each other",
            f'set count_by = "peers" for vip.{subject.vip.name}',
        )


def _areas(view: View) -> str:
    return " and ".join(sorted(area.id for area in ospf.areas(view))) or "none"


def _own(subject: Subject) -> str:
    address = subject.endpoint.address
    return "one of its interfaces" if ":" in address else address
