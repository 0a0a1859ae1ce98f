"""What a search begins with: endpoints, engines, and what may happen beside the runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from anycast_handlers.decision.facts import State

from tests.model import deeds, running, watching
from tests.model.search import Moves
from tests.model.world import EPOCH, UPTIME, Member, World

OK, WARNING, CRITICAL = State.OK, State.WARNING, State.CRITICAL
# A verb, and the state that the engine believes.
Called = tuple[str, State | None]
FAILED: Called = ("event", CRITICAL)
RECOVERED: Called = ("event", OK)
STALE_OK: Called = ("enforce", OK)
LOOKS: Called = ("enforce", WARNING)
FAILING: Called = ("enforce", CRITICAL)
HOLD: Called = ("hold", None)
RELEASE: Called = ("release", None)
WITHDRAW: Called = ("withdraw", None)
RESTORE: Called = ("restore", None)


def latch(age: float) -> str:
    """Write the latch of a withdrawal some seconds ago."""
    said: dict[str, Any] = {"boot_id": "boot-0", "by": "x", "reason": "x", "restores": []}
    said |= {"since": UPTIME - age, "withdrawals": [EPOCH - int(age)]}
    return json.dumps(said, sort_keys=True) + "\n"


HEALTHY, BROKEN, OFF = Member(), Member(healthy=False), Member(on=False, flooded=False)
# The endpoint has lost its power, and its neighbors have not noticed yet.
JUST_OFF = Member(on=False, due=20)
OUT = Member(announced=False, flooded=False, latch=latch(80.0), owner="suite")
OUT_BROKEN = OUT._replace(healthy=False, dead=True)
# It was withdrawn a moment ago, by a host that was to take it back.
YOUNG_BROKEN = OUT_BROKEN._replace(latch=latch(10.0), withdrawn=-20)
# A run was killed between the latch and ifdown, or a person has brought the address up again.
LEFT, LEFT_BROKEN = Member(latch=latch(80.0)), Member(latch=latch(80.0), healthy=False)
BY_PERSON = Member(announced=False, flooded=False, owner="person")


def race(world: World, *calls: tuple[int, Called], **changes: Any) -> World:
    """Start runs, the first and the second on a monitoring host each, and so on in turn."""
    for number, (place, (verb, state)) in enumerate(calls):
        world = running.start(world, number % 2, verb, place, state, **changes)
    return world


def flip(place: int) -> Callable[[World], World]:
    """Let a service die or recover."""
    return lambda world: world.member(place, healthy=not world.members[place].healthy, dead=False)


def power_off(place: int) -> Callable[[World], World]:
    """Let a host lose its power."""
    return lambda world: deeds.power(world, place, on=False)


def power_cycle(place: int) -> Callable[[World], World]:
    """Let a host boot."""
    return lambda world: deeds.power(deeds.power(world, place, on=False), place, on=True)


def held(place: int) -> Callable[[World], World]:
    """Let a person on the endpoint write a hold where there is none."""
    return lambda w: w if w.members[place].hold else deeds.place_hold(w, place)


def released(place: int) -> Callable[[World], World]:
    """Let a person on the endpoint remove a hold."""
    return lambda w: deeds.remove_hold(w, place) if w.members[place].hold else w


def up(place: int) -> Callable[[World], World]:
    """Let a person run ifup."""
    return lambda world: deeds.by_person(world, place, up=True)


def down(place: int) -> Callable[[World], World]:
    """Let a person run ifdown."""
    return lambda world: deeds.by_person(world, place, up=False)


def calls(host: int, place: int, called: Called) -> Callable[[World], World]:
    """Let a person call a verb, once, on a monitoring host."""
    verb, state = called
    return lambda world: running.start(world, host, verb, place, state)


def cut(place: int) -> Callable[[World], World]:
    """Let the streams of an endpoint end."""
    return lambda world: watching.cut(world, place)


def slow(place: int) -> Callable[[World], World]:
    """Let each line of an endpoint's streams be under way for two seconds from now on."""
    return lambda world: watching.slow_down(world, place, 4)


def streams(place: int) -> Moves:
    """List what may happen to the streams of an endpoint."""
    return (f"cut {place + 1}", cut(place)), (f"slow {place + 1}", slow(place))


def deaf(place: int) -> Moves:
    """Let an endpoint become one that cannot be asked, and one that can be again."""
    return ((f"deaf {place + 1}", lambda w: w.member(place, deaf=not w.members[place].deaf)),)


def moves(*places: int) -> Moves:
    """List what may happen to endpoints."""
    made = {"flip": flip, "off": power_off, "boot": power_cycle, "hold": held}
    made |= {"release": released, "ifup": up, "ifdown": down}
    return tuple((f"{name} {n + 1}", make(n)) for n in places for name, make in made.items())


# The first two hosts are a site, which keeps one of them; see World.split.
SITES = ("fra", "fra", "ams")
SPLIT: dict[str, Any] = {
    "endpoints": tuple(
        one._replace(site=site) for one, site in zip(running.VIP.endpoints, SITES, strict=True)
    ),
    "min_announcing_per_site": 1,
    # The others are in the same area, so that nobody has to be asked.
    "count_by": "ospf",
}
