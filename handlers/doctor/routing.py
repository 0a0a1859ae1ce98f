"""The examinations of the routing, on each endpoint and of all endpoints compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anycast_checks import routing
from anycast_checks.errors import RoutingUnreadableError
from anycast_checks.routing.daemon import RoutingDaemon, RoutingState, Unknown

from ..decision.facts import describe_strangers
from ..routing.tally import RouterIds, find_strangers
from .finding import Examination, Finding, Subject


def see_routing(
    subject: Subject, daemons: Sequence[RoutingDaemon]
) -> tuple[RoutingState | None, Finding | None]:
    """Ask the routing daemon; if it gives no answer, a finding says what cannot be done then."""
    vip = subject.vip
    try:
        return routing.see(vip.address, subject.site.shell.run, daemons), None
    except RoutingUnreadableError as error:
        if vip.count_by == "peers":
            missing = "no withdrawal or restore can be verified in the routing"
            return None, subject.hint(f"{error}: {missing}", "mend it to have that too")
        missing = (
            "nobody can be counted, so nothing is withdrawn, nor anything verified in the routing"
        )
        remedy = 'mend it; or set count_by = "peers", which counts without the routing daemon'
        return None, subject.found(f"{error}: {missing}", remedy)


def weaknesses(subject: Subject) -> Iterator[Finding]:
    """Find faults in the routing daemon's configuration, such as a router-id that may change."""
    state = subject.routing
    if state is None:
        return
    ask = subject.site.shell.run
    for weakness in state.daemon.weaknesses(subject.vip.address, state, ask, _own(subject)):
        yield subject.found(weakness.text, weakness.remedy)


def adjacencies(subject: Subject) -> Iterator[Finding]:
    """Find neighbors with which the endpoint exchanges no routes."""
    state = subject.routing
    if state is None:
        return
    protocol, remedy = state.daemon.protocol, state.daemon.advise(subject.vip.address).adjacency
    if not state.adjacencies:
        yield subject.found(f"there is no {protocol} neighbor", remedy)
    for one in state.adjacencies:
        if not one.is_settled:
            where = f"{one.peer} on {one.interface}"
            text = f"the {protocol} adjacency with {where} is {one.state}, not Full"
            yield subject.found(text, remedy)


def announcement(subject: Subject) -> Iterator[Finding]:
    """Find a VIP that is present and not announced, or announced and not present."""
    state, look, vip = subject.routing, subject.look, subject.vip
    if state is None or look is None:
        return
    protocol, advice = state.daemon.protocol, state.daemon.advise(vip.address)
    prefix, interface = vip.placement.prefix(vip.address), vip.placement.interface
    if look.present and not state.announced:
        text = f"{prefix} is on {interface}, but not announced in {protocol}"
        yield subject.found(text, advice.announce)
    elif state.announced and not look.present:
        text = f"{prefix} is not on {interface}, but announced in {protocol}"
        yield subject.found(text, advice.retract)


def countability(subject: Subject) -> Iterator[Finding]:
    """Find an endpoint whose routing does not show all the others."""
    state = subject.routing
    if state is None or subject.vip.count_by != "ospf":
        return
    if isinstance(state.announcers, Unknown):
        text = f"cannot count in {state.daemon.protocol}: {state.announcers.why}"
        yield subject.found(text, 'set count_by = "peers"')


ROUTING_EXAMINATIONS: tuple[Examination, ...] = (
    weaknesses,
    adjacencies,
    announcement,
    countability,
)


def compare(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find faults that only show when endpoints are compared: router-ids and areas."""
    for subject in subjects:
        for other in subjects:
            if subject.endpoint.address != other.endpoint.address:
                yield from _same_router_id(subject, other)
                if other.vip is subject.vip:
                    yield from _other_domain(subject, other)


def strangers(subjects: Sequence[Subject], router_ids: RouterIds) -> Iterator[Finding]:
    """Find routers that announce a VIP and are no endpoint of it, as far as all are known."""
    by_vip: dict[str, list[Subject]] = {}
    for subject in subjects:
        if subject.routing:
            by_vip.setdefault(subject.vip.name, []).append(subject)
    for first, *rest in by_vip.values():
        seen = {s.endpoint.name: s.routing for s in (first, *rest) if s.routing}
        found = find_strangers(first.vip, seen, router_ids.known(first.vip))
        if text := describe_strangers(found):
            yield first.found(
                f"{first.vip.placement.prefix(first.vip.address)} is {text}",
                "end that announcement, which counts for no floor; or put the host into the fleet"
                " file",
            )


def _same_router_id(subject: Subject, other: Subject) -> Iterator[Finding]:
    here, there = subject.routing, other.routing
    if here and there and here.router_id == there.router_id:
        remedy = here.daemon.advise(subject.vip.address).router_id
        yield subject.found(
            f"its {here.daemon.protocol} router-id {here.router_id} is that of {other.name} too",
            f"{remedy}, such as {_own(subject)}",
        )


def _other_domain(subject: Subject, other: Subject) -> Iterator[Finding]:
    here, there = subject.routing, other.routing
    if here is None or there is None or subject.vip.count_by != "ospf":
        return
    if here.domain != there.domain:
        yield subject.found(
            f"is in {here.daemon.protocol} {here.domain}, and {other.name} in {there.domain}: "
            "they cannot count each other",
            f'set count_by = "peers" for vip.{subject.vip.name}',
        )


def _own(subject: Subject) -> str:
    address = subject.endpoint.address
    return "one of its interfaces" if ":" in address else address
