"""BGP of BIRD: whether a route of this host's own is exported to a neighbor that hears it.

A host whose VIP was withdrawn learns it from its router, and a filter that does not look at the
source hands it on to a second neighbor. So the route has to be its own. A host is told of one of
the others at most: BGP cannot count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import bird
from .bird_text import Speaker
from .daemon import Adjacency, Advice, Answer, Ask, Question, RoutingState, Unknown, Weakness

ESTABLISHED = "Established"
KIND = "BGP"


@dataclass(frozen=True)
class BirdBgp:
    """BGP of BIRD, which is asked by birdc; see RoutingDaemon."""

    protocol: str = KIND
    settled: str = ESTABLISHED
    relation: str = "session"
    shows_all: bool = False
    older: None = None

    def carries(self, vip: str) -> bool:
        """Carry both families; see RoutingDaemon."""
        return bool(vip)

    def advise(self, vip: str) -> Advice:
        """Say what a person has to do about trouble with BIRD; see RoutingDaemon."""
        return Advice(
            announce=f"let `protocol direct` name the interface, and the export filter of the "
            f"neighbor accept {bird.prefix_of(vip)}",
            retract=bird.RETRACT,
            adjacency="see `birdc show protocols all` there: address, AS number, password, "
            "filters in between; where somebody disabled it, enable it",
            router_id=bird.ROUTER_ID,
        )

    def question(self, vip: str) -> Question:
        """Give the question about a VIP; see RoutingDaemon."""
        return bird.question(vip)

    def read(self, vip: str, answer: Answer) -> RoutingState:
        """Read the sessions, and what is exported to each; see RoutingDaemon."""
        seen = bird.read(vip, answer)
        speakers = seen.speaking(KIND)
        announced = [
            seen.is_open(one) and any(map(bird.is_own, seen.exported(one))) for one in speakers
        ]
        return RoutingState(
            self,
            seen.router_id,
            any(announced),
            Unknown("BGP does not tell an endpoint who else announces it"),
            tuple(_session(seen, one) for one in speakers if one.neighbor),
            KIND,
            (*bird.static_routes(seen, speakers), *_faults(seen, speakers)),
        )

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find what keeps a VIP announced that is gone, or hands on others'; see RoutingDaemon."""
        yield from bird.weaknesses(vip, state, own)


DAEMON = BirdBgp()


def _session(seen: bird.Bird, speaker: Speaker) -> Adjacency:
    is_up = seen.is_open(speaker)
    state = speaker.state or "Down"
    if state == ESTABLISHED and not is_up:
        state = "Established without the VIP's family"
    return Adjacency(speaker.neighbor, "", state, is_up=is_up, is_settled=is_up)


def _faults(seen: bird.Bird, speakers: Iterable[Speaker]) -> Iterator[Weakness]:
    for one in speakers:
        if any(not bird.is_own(origin) for origin in seen.exported(one)):
            yield Weakness(
                f"what others announce is handed on to {one.name}, as if by a router",
                "let its export filter accept `source = RTS_DEVICE` only",
                hurts=False,
            )
        if one.is_restarting:
            yield Weakness(
                f"with `graceful restart on` in {one.name} the routes of a dead BIRD stay",
                "remove that line from BIRD's configuration",
                hurts=False,
            )
