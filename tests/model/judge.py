"""Lets `enforce` bring everything to where it belongs, and judges the ends of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from anycast_handlers.decision.facts import State

from tests.model import running, watching
from tests.model.deeds import flood
from tests.model.invariants import Hole, check_converged, check_dead, check_floor
from tests.model.search import End, Limits, Size, explore, let_work, take_step
from tests.model.world import TICK, Member, World

# Two rounds of `enforce`, as far apart as an engine runs it.
ROUNDS = (30, 30)
# Longer than any hold-down.
LONG = 7200
# Long enough for two looks at each endpoint, and for the time between two withdrawals.
WATCH_TICKS, PACE = 40, 6.0


def finish(world: World) -> World:
    """Let all runs and watchers end without another fault."""
    while world.runs or world.watchers:
        due = [n for n in range(len(world.watchers)) if watching.is_due(world, n)]
        if due:
            world = watching.turn(world, due[0])
            continue
        ready = [n for n in range(len(world.runs)) if running.enabled(world, n)]
        able = [n for n, c in running.commands(world).items() if running.is_able(world, c)]
        if ready:
            world = take_step(world, ready[0])
        elif able:
            world = let_work(world, able[0])
        else:
            world = watching.pass_time(world)
    return world


def skip(world: World, seconds: float) -> World:
    """Let a long time pass in which nothing runs."""
    for place in range(len(world.members)):
        world = flood(world, place)
    return world._replace(tick=world.tick + int(seconds / TICK), few=None, orphans=())


def true_state(member: Member) -> State:
    """Return the state that an engine reports once it has caught up."""
    if not member.on:
        return State.UNKNOWN
    if member.healthy:
        return State.OK
    return State.CRITICAL if member.announced else State.WARNING


def enforce(world: World, pauses: Iterable[float], size: Size, **changes: Any) -> World:
    """Run `enforce` for everything on both hosts, once before each of these pauses."""
    for pause in pauses:
        for host in range(2):
            for place in range(len(world.members)):
                state = true_state(world.members[place])
                begun = running.start(world, host, "enforce", place, state, **changes)
                world = finish(begun)
                size.transitions += 1
        world = skip(world, pause)
    return world


def watch(world: World, size: Size, **changes: Any) -> World:
    """Let a watcher look after everything for a while, and no engine."""
    world = watching.start(world, 0, WATCH_TICKS, pace=PACE, cause_patience=0.0, **changes)
    size.transitions += 1
    return skip(finish(world), 0)


def converge(world: World, mend: Callable[[World], World]) -> None:
    """Check that two rounds of `enforce`, or a watcher, bring all to where it belongs.

    What waits for its hold-down needs as much after that, and what is broken once more when every
    service is well.
    """
    world = mend(world)
    check_dead(world)
    world = mend(skip(world, LONG))
    check_converged(world)
    well: dict[str, Any] = {"healthy": True, "dead": False, "vtysh": True, "deaf": False}
    members = (member._replace(**well) for member in world.members)
    world = skip(world._replace(members=tuple(members)), LONG)
    check_converged(mend(world))


class Judge:
    """Checks each end once: the floor holds, and `enforce` brings all to where it belongs.

    With ``watches`` a watcher does so too, without any `enforce`.
    """

    def __init__(self, size: Size, *, watches: bool = False, **changes: Any) -> None:
        self._size = size
        self._watches = watches
        self._changes = changes
        self._converged: set[World] = set()

    def judge_all(self, begun: World, limits: Limits | None = None) -> None:
        """Search from a world, and check every end."""
        for end in explore(begun, self._size, limits):
            self.judge(begun, end)

    def judge(self, begun: World, end: End) -> None:
        """Check an end of a search that has begun with a world."""
        try:
            # A recount sees what the routing has seen, which is in time for all but a loss of
            # power.
            blind = any(member.flooded and not member.on for member in begun.members)
            held = any(member.announces for member in begun.members)
            if held and not (end.faulty or blind):
                check_floor(end.world, "after the recount")
            if end.world not in self._converged:
                self._mend(end.world)
                self._converged.add(end.world)
        except Hole as hole:
            raise Hole(f"{hole}\n{end.way()}\n{end.world.members}") from hole

    def _mend(self, world: World) -> None:
        size, changes = self._size, self._changes
        check_floor(enforce(world, (0,), size, **changes), "after an enforce")
        converge(world, lambda world: enforce(world, ROUNDS, size, **changes))
        if self._watches:
            check_floor(watch(world, size, **changes), "after a watcher has looked")
            converge(world, lambda world: watch(world, size, **changes))
