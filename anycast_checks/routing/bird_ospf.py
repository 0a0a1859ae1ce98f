"""OSPFv2 and OSPFv3 of BIRD: which routers announce a VIP, as `show ospf state` tells.

That answer is the link-state database without the LSAs of routers that cannot be reached, and
without those that were flushed. A VIP stands below each router that announces it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import CountUnknownError
from . import bird
from .bird_text import Speaker
from .daemon import Advice, Answer, Ask, Question, RoutingState, Unknown, Weakness
from .ospf import FULL, adjacencies
from .ospf_lsa import Neighbor

KIND = "OSPF"
_NOT_UP = "is not up"
_ANNOUNCED = ("external", "nssa-ext", "stubnet")
_SUMMARY = "xnetwork"
_SUMMARIES = (_SUMMARY, "xrouter")
# Router ID, Pri, State such as Full/PtP, DTime, Interface, Router IP.
_NEIGHBOR = re.compile(r"([0-9.]+)\s+\d+\s+([^\s/]+)/\S*\s+\S+\s+(\S+)\s+\S+")


class Router(NamedTuple):
    """A router in BIRD's answer.

    Attributes:
        id: its router-id.
        area: its area; empty where it is in another area than this host.
        distance: how far away it is; 0 for this host.
        lines: what it lists: the kind, the prefix.
    """

    id: str
    area: str
    distance: int
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class BirdOspf:
    """OSPF of BIRD, which is asked by birdc; see RoutingDaemon."""

    protocol: str = KIND
    settled: str = FULL
    relation: str = "adjacency"
    shows_all: bool = True
    older: None = None

    def carries(self, vip: str) -> bool:
        """Carry both families, as OSPFv2 and OSPFv3; see RoutingDaemon."""
        return bool(vip)

    def advise(self, vip: str) -> Advice:
        """Say what a person has to do about trouble with BIRD; see RoutingDaemon."""
        return Advice(
            announce=f"let `protocol direct` name the interface, and the export filter of OSPF "
            f"accept {bird.prefix_of(vip)}",
            retract=bird.RETRACT,
            adjacency="compare hello and dead intervals, area, network type, MTU and password "
            "of both ends",
            router_id=bird.ROUTER_ID,
        )

    def question(self, vip: str) -> Question:
        """Give the question about a VIP; see RoutingDaemon."""
        return bird.question(vip)

    def read(self, vip: str, answer: Answer) -> RoutingState:
        """Read the reachable routers and the neighbors; see RoutingDaemon."""
        seen = bird.read(vip, answer)
        states = [self._read_one(seen, one) for one in seen.speaking(KIND)]
        first, *rest = sorted(states, key=lambda state: not state.announced)
        if not rest:
            return first
        names = " and ".join(one.name for one in seen.speaking(KIND))
        return RoutingState(
            self,
            first.router_id,
            first.announced,
            Unknown(f"BIRD has several OSPF protocols: {names}"),
            tuple(one for state in states for one in state.adjacencies),
            " and ".join(sorted({state.domain for state in states})),
            tuple(fault for state in states for fault in state.faults),
        )

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find a static route, and a router-id that is the VIP; see RoutingDaemon."""
        yield from bird.weaknesses(vip, state, own)

    def _read_one(self, seen: bird.Bird, speaker: Speaker) -> RoutingState:
        """Read one OSPF protocol of BIRD."""
        said = seen.answer(f"show ospf state '{speaker.name}'")
        if _NOT_UP in said:
            return RoutingState(self, seen.router_id, announcers=Unknown(said.strip()))
        routers = tuple(_routers(said))
        own = [router for router in routers if router.distance == 0]
        if not own:
            raise bird.unreadable(f"{speaker.name} does not list this router")
        neighbors = tuple(_neighbors(seen.answer(f"show ospf neighbors '{speaker.name}'")))
        prefix = bird.prefix_of(seen.vip)
        router_id = own[0].id
        try:
            found: frozenset[str] | Unknown = _announcers(routers, router_id, prefix, neighbors)
        except CountUnknownError as error:
            found = Unknown(str(error))
        return RoutingState(
            self,
            router_id,
            any(_announces(router, prefix) for router in own),
            found,
            adjacencies(neighbors),
            f"area {' and '.join(sorted({one.area for one in own}))}",
            tuple(bird.static_routes(seen, [speaker])),
        )


DAEMON = BirdOspf()


def _announcers(
    routers: tuple[Router, ...], own: str, prefix: str, neighbors: tuple[Neighbor, ...]
) -> frozenset[str]:
    """Find the routers that announce exactly the VIP.

    Raises:
        CountUnknownError: not all of them can be seen.
    """
    areas = sorted({router.area for router in routers if router.id == own})
    if len(areas) > 1:
        raise CountUnknownError(f"{own} is in the areas {' and '.join(areas)}: none shows them all")
    reached = {router.id for router in routers if router.area}
    full = {one.name for one in neighbors if one.state == FULL}
    if reached == {own} or not full or full - reached:
        # A router that has just started is not in the LSA of its neighbor yet.
        raise CountUnknownError(f"{own} reaches no other router in OSPF")
    for router in routers:
        # A border router translates what the endpoints of an NSSA announce.
        is_border = any(kind in _SUMMARIES for kind, _ in router.lines)
        if (_SUMMARY, prefix) in router.lines or (is_border and _announces(router, prefix)):
            raise CountUnknownError(f"{router.id} sums up {prefix} from another area")
        if not router.area and _announces(router, prefix):
            raise CountUnknownError(f"{router.id} announces {prefix} from another area")
    return frozenset(router.id for router in routers if _announces(router, prefix))


def _announces(router: Router, prefix: str) -> bool:
    return any((kind, prefix) in router.lines for kind in _ANNOUNCED)


def _routers(text: str) -> Iterator[Router]:
    """Read the routers of `show ospf state`; those that cannot be reached are not in it."""
    area, router, distance = "", "", -1
    lines: list[tuple[str, str]] = []

    def finished() -> Iterator[Router]:
        if router and distance >= 0:
            yield Router(router, area, distance, tuple(lines))

    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip("\t"))
        word, _, rest = line.strip().partition(" ")
        if not word:
            continue
        if depth < 2:
            yield from finished()
            router, distance, lines = rest if (depth, word) == (1, "router") else "", -1, []
            if depth == 0:
                # Behind "other ASBRs" stand routers of other areas.
                area = rest if word == "area" else ""
        elif word == "distance":
            distance = int(rest) if rest.isdigit() and len(rest) < 10 else -1
        else:
            lines.append((word, rest.partition(" ")[0]))
    yield from finished()


def _neighbors(text: str) -> Iterator[Neighbor]:
    for line in text.split("\n"):
        if found := _NEIGHBOR.match(line):
            yield Neighbor(found[1], found[2], found[3])
