"""The examinations of the routing, on each endpoint and of all endpoints compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anycast_checks.routing.daemon import Question, RoutingDaemon, RoutingState, Unknown

from ..decision.facts import describe_strangers
from ..errors import UncountableError
from ..routing.announced import shows_all
from ..routing.ask import asking, command_of
from ..routing.see import see_routing as ask_routing
from ..routing.tally import RouterIds, find_strangers
from ..transport.shell import Query
from .finding import Examination, Finding, Subject


def see_routing(
    subject: Subject, daemons: Sequence[RoutingDaemon]
) -> tuple[RoutingState | None, Finding | None]:
    """Ask the routing daemon; if it gives no answer, a finding says what cannot be done then."""
    vip = subject.vip
    try:
        return ask_routing(subject.site.shell, vip, daemons, all_of_them=True), None
    except UncountableError as error:
        if vip.routing == "none":
            missing = "no withdrawal or restore can be verified in the routing"
            return None, subject.hint(f"{error}: {missing}", "let it be, or set `routing`")
        missing = "nobody can be counted, so nothing is withdrawn"
        remedy = 'mend it; or set routing = "none", where something else announces the VIP'
        return None, subject.found(f"{error}: {missing}", remedy)


def weakness_questions(subject: Subject) -> list[Query]:
    """List what `weaknesses` asks."""
    found: list[Query] = []
    shell, vip = subject.site.shell, subject.vip.address

    def note(asked: Sequence[Question]) -> list[tuple[int, str, str]]:
        found.extend(Query(command_of(shell, one)) for one in asked)
        return [(0, "", "") for _ in asked]

    for one in subject.routing.carriers if subject.routing else ():
        list(one.daemon.weaknesses(vip, one, note, ""))
    return found


def weaknesses(subject: Subject) -> Iterator[Finding]:
    """Find faults in the routing daemon's configuration, such as a router-id that may change."""
    state = subject.routing
    if state is None:
        return
    ask = asking(subject.site.shell)
    for one in state.carriers:
        for weakness in one.daemon.weaknesses(subject.vip.address, one, ask, _own(subject)):
            yield subject.found(weakness.text, weakness.remedy)


def adjacencies(subject: Subject) -> Iterator[Finding]:
    """Find neighbors with which the endpoint exchanges no routes."""
    state = subject.routing
    if state is None:
        return
    for carrier in state.carriers:
        daemon = carrier.daemon
        remedy = daemon.advise(subject.vip.address).adjacency
        if not carrier.adjacencies:
            yield subject.found(f"there is no {daemon.protocol} neighbor", remedy)
        for one in carrier.adjacencies:
            if not one.is_settled:
                what = f"the {daemon.protocol} {daemon.relation} with {one}"
                yield subject.found(f"{what} is {one.state}, not {daemon.settled}", remedy)


def announcement(subject: Subject) -> Iterator[Finding]:
    """Find a VIP that is present and not announced, or announced and not present."""
    state, look, vip = subject.routing, subject.look, subject.vip
    if state is None or look is None:
        return
    protocol, advice = state.protocols, state.daemon.advise(vip.address)
    prefix, interface = vip.placement.prefix(vip.address), vip.placement.interface
    if look.present and not state.announced:
        is_up = any(one.is_up for carrier in state.carriers for one in carrier.adjacencies)
        # `interfaces` and `adjacencies` say what is wrong, and this follows from it.
        if not look.in_place or not is_up:
            return
        text = f"{prefix} is on {', '.join(look.interfaces)}, but not announced in {protocol}"
        yield subject.found(text, advice.announce)
    elif state.announced and not look.present:
        text = f"{prefix} is not on {interface}, but announced in {protocol}"
        yield subject.found(text, advice.retract)


ROUTING_EXAMINATIONS: tuple[Examination, ...] = (weaknesses, adjacencies, announcement)


def compare_routing(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find faults that only show when endpoints are compared: router-ids and areas."""
    yield from _same_router_ids(subjects)
    by_vip: dict[str, list[Subject]] = {}
    for subject in subjects:
        by_vip.setdefault(subject.vip.name, []).append(subject)
    for of_vip in by_vip.values():
        vip = of_vip[0].vip
        # Where sites may be areas, those are asked that OSPF does not show.
        in_ospf = vip.count_by == "auto" and len(vip.sites) < 2 and _count_in_routing(of_vip)
        if vip.count_by == "ospf" or in_ospf:
            yield from _uncountable(of_vip)


def strangers(subjects: Sequence[Subject], router_ids: RouterIds) -> Iterator[Finding]:
    """Find routers that announce a VIP and should not, as far as all its endpoints are known."""
    by_vip: dict[str, list[Subject]] = {}
    for subject in subjects:
        if subject.routing:
            by_vip.setdefault(subject.vip.name, []).append(subject)
    for first, *rest in by_vip.values():
        seen = {s.endpoint.name: s.routing for s in (first, *rest) if s.routing}
        found = find_strangers(first.vip, seen, router_ids.known(first.vip))
        if text := describe_strangers(found):
            yield Finding(
                f"vip.{first.vip.name}",
                f"{first.vip.placement.prefix(first.vip.address)} is {text}",
                "it counts for no floor: put the host into the fleet file; if it is an endpoint of "
                f"another one, its router-id into vip.{first.vip.name}.also_announced_by; or else "
                "end that announcement",
            )


def _same_router_ids(subjects: Sequence[Subject]) -> Iterator[Finding]:
    having: dict[tuple[str, str], dict[str, Subject]] = {}
    for subject in subjects:
        # A bgpd without a neighbor of the family says none.
        if (state := subject.routing) and state.router_id:
            of = having.setdefault((state.daemon.protocol, state.router_id), {})
            of.setdefault(subject.endpoint.address, subject)
    for (protocol, router_id), of in having.items():
        if len(of) > 1:
            one = next(iter(of.values()))
            assert one.routing
            yield Finding(
                ", ".join(subject.name for subject in of.values()),
                f"they have the same {protocol} router-id {router_id}",
                one.routing.daemon.advise(one.vip.address).router_id,
            )


def _uncountable(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find endpoints of one VIP whose routing does not show all the others."""
    domains: dict[str, list[str]] = {}
    for subject in subjects:
        if subject.routing:
            domains.setdefault(subject.routing.domain, []).append(subject.name)
    remedy = f'set count_by = "peers" for vip.{subjects[0].vip.name} in the fleet file'
    if len(domains) > 1:
        where = "; ".join(f"{', '.join(names)} in {domain}" for domain, names in domains.items())
        text = f"its endpoints cannot count each other in OSPF: {where}"
        yield Finding(f"vip.{subjects[0].vip.name}", text, remedy)
        return
    for subject in subjects:
        state = subject.routing
        # `adjacencies` says that none is up, and what to do about it.
        if state is None or not any(one.is_up for one in state.adjacencies):
            continue
        if isinstance(state.announcers, Unknown):
            text = f"cannot count in {state.daemon.protocol}: {state.announcers.why}"
            # A session that has come up just now has not brought the other routers yet.
            yield subject.found(text, f"examine it again in a minute; if it stays so, {remedy}")


def _count_in_routing(subjects: Sequence[Subject]) -> bool:
    states = [subject.routing for subject in subjects if subject.routing]
    return bool(states) and all(map(shows_all, states))


def _own(subject: Subject) -> str:
    address = subject.endpoint.address
    return "one of its interfaces" if ":" in address else address
