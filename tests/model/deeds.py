"""What happens in a world without a run: interfaces, power, flooding, and deeds of a person."""

from __future__ import annotations

import json

from tests.model.world import (
    LAG,
    LAG_POWER,
    LAG_TOO_SOON,
    LONG_AGO,
    TOO_SOON,
    Run,
    World,
    is_at_work,
    is_latched,
    is_scarce,
    lacks,
    pool,
    twins,
)


def note_scarcity(world: World) -> World:
    """Remember when too few others were seen by an endpoint that the suite has withdrawn."""
    for place, member in enumerate(world.members):
        if member.owner == "suite" and is_scarce(world, place):
            world = world.member(place, scarce=world.tick)
    return world


def announce(world: World, place: int, owner: str, *, up: bool) -> World:
    """Put the address on an endpoint's loopback, or take it off.

    As long as a latch is on, nobody can tell who took the address off, so the suite owns it.
    """
    member = world.members[place]
    if member.announced is up:
        return world
    by_suite = owner == "suite"
    owner = "suite" if is_latched(member) and owner != "anybody" else owner
    soon = any(world.tick - world.members[at].changed < TOO_SOON for at in twins(world, place))
    kept = not lacks(world, place, own=member.announces)
    after = world.member(
        place,
        announced=up,
        owner="" if up else owner,
        withdrawn=world.tick if owner == "suite" and not up else LONG_AGO,
        held_out=not up and member.hold is not None,
        scarce=LONG_AGO,
        changed=world.tick,
        due=world.tick + (LAG_TOO_SOON if soon else LAG),
    )
    if not lacks(after, place, own=up and member.on):
        return note_scarcity(after._replace(few=None))
    after = note_scarcity(after)
    # No recount can know of a host that the routers do not miss yet.
    blind = any(world.members[at].flooded and not world.members[at].on for at in pool(place))
    return after._replace(few=world.tick) if by_suite and kept and not blind else after


def ifdown(world: World, place: int, owner: str) -> World:
    """Run ifdown on an endpoint."""
    return announce(world.member(place, ifstate=False), place, owner, up=False)


def ifup(world: World, place: int) -> World:
    """Run ifup on an endpoint."""
    return announce(world.member(place, ifstate=True), place, "", up=True)


def by_person(world: World, place: int, *, up: bool) -> World:
    """Let a person run ifup or ifdown by hand.

    In the middle of a helper's work nobody can tell who did what, so it is nobody's will then.
    """
    if up:
        return ifup(world, place)
    return ifdown(world, place, "anybody" if is_at_work(world, place) else "person")


def flood(world: World, place: int) -> World:
    """Let the others see what an endpoint announces."""
    return world.member(place, flooded=world.members[place].announces)


def power(world: World, place: int, *, on: bool) -> World:
    """Switch a host on or off: it boots with its addresses up, and with its notes as they were.

    A helper that is at work there, or has not begun yet, is gone.
    """
    if world.members[place].on is on:
        return world
    for at in twins(world, place):
        member = world.members[at]
        world = world.member(at, on=on, due=world.tick + (LAG if on else LAG_POWER))
        if on:
            world = world.member(
                at,
                announced=True,
                ifstate=True,
                owner="",
                withdrawn=LONG_AGO,
                drains=None,
                boot=member.boot + 1,
                changed=world.tick,
            )
    if on:
        return world if lacks(world, place, own=True) else world._replace(few=None)
    orphans = tuple(one for one in world.orphans if one.place not in twins(world, place))
    runs = tuple(_cut_off(run, world, place) for run in world.runs)
    return note_scarcity(world._replace(orphans=orphans, runs=runs))


def _cut_off(run: Run, world: World, place: int) -> Run:
    command = run.command
    if command is None or command.reply is not None or command.place not in twins(world, place):
        return run
    # The request stays unanswered, and a host that boots does not know it.
    return run._replace(command=command._replace(request="", hangs=True, work=None))


def set_hold(world: World, place: int, text: str | None) -> World:
    """Write or remove a hold file."""
    return world.member(place, hold=text, held_out=False)


def place_hold(world: World, place: int, *, seconds: int | None = None) -> World:
    """Let a person on the endpoint write a hold file."""
    until = None if seconds is None else world.clock + seconds
    said = {
        "since": world.clock,
        "until": until,
        "by": "anna",
        "reason": "mine",
        "announced": world.members[place].announced,
    }
    text = json.dumps(said, sort_keys=True) + "\n"
    return _beside(set_hold(world, place, text), place).member(place, ordered="held")


def remove_hold(world: World, place: int) -> World:
    """Let a person on the endpoint remove a hold file."""
    return _beside(set_hold(world, place, None), place).member(place, ordered="released")


def _beside(world: World, place: int) -> World:
    """Note that the orders that are under way are not the only ones."""
    runs = tuple(r._replace(alone=r.alone and r.place != place) for r in world.runs)
    return world._replace(runs=runs)
