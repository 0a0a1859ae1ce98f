"""The search: it takes every interleaving of a few runs, and checks the invariants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from anycast_handlers.endpoint import latch as notes

from tests.model import world as model
from tests.model.stepping import Kind
from tests.model.world import CHECK, EPOCH, LONG_AGO, TICK, UPTIME, Member, World

FLOOR = model.VIP.floor
# Three rounds of `enforce` for what is soon due, and two that each outlast the longest hold-down.
PAUSES = (30, 30, 30, 7200, 7200)
Move = Callable[[World], World]
Moves = tuple[tuple[str, Move], ...]


class Hole(AssertionError):  # noqa: N818 - the word of the README
    """The search has found a world that breaks an invariant."""


class Size:
    """Counts how much was searched."""

    def __init__(self) -> None:
        self.states = self.transitions = self.ends = 0

    def __str__(self) -> str:
        return f"{self.states} states, {self.transitions} transitions, {self.ends} ends"


class Point(NamedTuple):
    """A world, and how many kills and moves may still come."""

    world: World
    kills: int
    moves: int


def waits(world: World, number: int) -> bool:
    """Tell whether a run lets time pass: it sleeps, runs the check, or waits for the lock."""
    run = world.runs[number]
    if run.effect.kind is Kind.SLEEP:
        return world.tick < run.wakes
    if run.effect.kind is Kind.RUN and run.effect.argv == CHECK:
        return world.tick < run.wakes + model.CONFIRM_TICKS
    return run.effect.kind is Kind.LOCK and not model.enabled(world, number)


def successors(at: Point, moves: Moves) -> Iterator[tuple[str, Point]]:
    """List everything that can happen next, with its name."""
    world, runs = at.world, at.world.runs
    for number, run in enumerate(runs):
        if model.enabled(world, number):
            after = model.step(world, number)
            check_step(world, after, number)
            yield f"{_name(world, number)}", at._replace(world=after)
        if at.kills and run.acted:
            killed = model.end(world, number, killed=True)
            yield f"kill {_name(world, number)}", at._replace(world=killed, kills=at.kills - 1)
    for place, member in enumerate(world.members):
        if member.lags:
            yield f"flood ns{place + 1}", at._replace(world=model.flood(world, place))
    if at.moves:
        for name, move in moves:
            moved = move(world)
            if moved is not world:
                yield name, at._replace(world=moved, moves=at.moves - 1)
    if runs and all(waits(world, number) for number in range(len(runs))):
        yield "tick", at._replace(world=model.pass_time(world))


def _name(world: World, number: int) -> str:
    run = world.runs[number]
    request = run.node.program.request
    what = " ".join(run.effect.argv) or run.effect.kind.value
    who = f"m{run.host + 1} {request.verb.name} {request.endpoint.name}"
    state = f" {request.state.name}" if request.state else ""
    return f"[{world.tick * TICK} s {who}{state}] {what}"


class End(NamedTuple):
    """A settled world without runs; ``faulty`` tells of kills and moves, ``way`` the steps."""

    world: World
    faulty: bool
    way: Callable[[], str]


def explore(
    world: World, size: Size, *, kills: int = 0, moves: int = 0, possible: Moves = ()
) -> list[End]:
    """Take every interleaving to its end; raises Hole, with the steps that lead to it."""
    first = Point(world, kills, moves)
    came: dict[Point, tuple[Point, str] | None] = {first: None}
    queue = deque([first])
    ends: dict[tuple[World, bool], End] = {}
    while queue:
        at = queue.popleft()
        size.states += 1
        if not at.world.runs:
            end = End(
                settle(at.world), at != first and at[1:] != first[1:], partial(_way, came, at)
            )
            ends.setdefault(end[:2], end)
            continue
        try:
            for name, following in successors(at, possible):
                size.transitions += 1
                if following not in came:
                    came[following] = (at, name)
                    queue.append(following)
        except Hole as hole:
            raise Hole(f"{hole}\n{_way(came, at)}") from hole
    size.ends += len(ends)
    return list(ends.values())


def _way(came: dict[Point, tuple[Point, str] | None], at: Point) -> str:
    names = []
    while (before := came[at]) is not None:
        at, name = before
        names.append(name)
    return "\n".join(names[::-1])


def check_step(before: World, after: World, number: int) -> None:
    """Check that one step of the automation respects what a person wants."""
    run = before.runs[number]
    if run.node.program.request.verb.by_hand:
        return
    for was, now in zip(before.members, after.members, strict=True):
        if now.announced and not was.announced and was.owner == "person":
            raise Hole("what a person took down was brought back")
        hold = model.held(was)
        if was.announced and not now.announced and hold and hold.present:
            clock = EPOCH + run.started // 2
            if hold.since < clock and not hold.has_expired(clock):
                raise Hole("withdrawn against a hold")


def settle(world: World) -> World:
    """Flood every change, and make worlds equal that differ only in their times.

    Ages are put into classes: below the shortest hold-down, below an hour, above an hour.
    """
    members = tuple(_settle(member, world.tick) for member in world.members)
    return World(members)


def _settle(member: Member, tick: int) -> Member:
    return member._replace(
        flooded=member.on and member.announced,
        changed=LONG_AGO,
        due=0,
        boot=0,
        latch=_settle_latch(member, tick),
        latch_new=None,
        hold_new=None,
        hold=_settle_hold(member, tick),
    )


def _settle_latch(member: Member, tick: int) -> str | None:
    if member.latch is None:
        return None
    latch = notes.parse(member.latch)
    since = None
    if latch.since is not None:
        age = UPTIME + tick * TICK - latch.since
        since = UPTIME - (10.0 if age < 60 else 80.0 if age < 3600 else 3700.0)
    clock = EPOCH + tick // 2
    withdrawals, restores = latch.within_a_day(clock)
    return notes.Latch(
        since=since,
        boot_id="boot-0" if latch.boot_id == f"boot-{member.boot}" else "boot-x",
        by="x",
        reason="x",
        withdrawals=(EPOCH - 4000,) * min(4, withdrawals),
        restores=(EPOCH - 4000,) * min(2, restores),
    ).render()


def _settle_hold(member: Member, tick: int) -> str | None:
    hold = model.held(member)
    if hold is None:
        return None
    over = hold.has_expired(EPOCH + tick // 2)
    until = EPOCH - 100 if over else None
    return notes.Hold(EPOCH - 200, until, hold.by, "x", hold.present).render()


def finish(world: World) -> World:
    """Let all runs end without another fault."""
    while world.runs:
        ready = [n for n in range(len(world.runs)) if model.enabled(world, n)]
        if ready:
            after = model.step(world, ready[0])
            check_step(world, after, ready[0])
            world = after
        else:
            world = model.pass_time(world)
    return world


def skip(world: World, seconds: float) -> World:
    """Let a long time pass in which nothing runs."""
    for place in range(len(world.members)):
        world = model.flood(world, place)
    return world._replace(tick=world.tick + int(seconds / TICK))


def enforce(world: World, pauses: Iterable[float], size: Size) -> World:
    """Run `enforce` for everything on both hosts, once before each of these pauses."""
    for pause in pauses:
        for host in range(len(world.spacing)):
            for place in range(len(world.members)):
                state = model.true_state(world.members[place])
                world = finish(model.start(world, host, "enforce", place, state))
                size.transitions += 1
        world = skip(world, pause)
    return world


def converge(world: World, size: Size) -> None:
    """Check that `enforce` brings all to where it belongs, now and once every service is well."""
    world = enforce(world, PAUSES, size)
    check_converged(world)
    members = (member._replace(healthy=True) for member in world.members)
    world = enforce(world._replace(members=tuple(members)), PAUSES, size)
    check_converged(world)


def check_announced(world: World, when: str) -> None:
    """Check that the suite keeps no endpoint withdrawn while too few others announce."""
    announcing = sum(member.on and member.announced for member in world.members)
    ours = sum(
        member.on and member.owner == "suite" and not (member.hold or member.lost)
        for member in world.members
    )
    if announcing < FLOOR and ours:
        raise Hole(f"{when}: {announcing} announce, and {ours} are withdrawn by the suite")


def check_converged(world: World) -> None:
    """Check that everything is where it belongs."""
    members = world.members
    check_announced(world, "in the end")
    for name, member in zip(model.NAMES, members, strict=True):
        hold = model.held(member)
        over = hold is not None and hold.has_expired(EPOCH + world.tick // 2)
        others = sum(m.on and m.announced for m in members if m is not member)
        if not member.on:
            continue
        if member.healthy and not member.announced:
            latch = notes.parse(member.latch) if member.latch else notes.Latch()
            used_up = latch.within_a_day(EPOCH + world.tick // 2)[1] >= model.VIP.max_restores
            if member.owner == "suite" and not (hold or used_up or member.lost):
                raise Hole(f"{name} is healthy, withdrawn by the suite, and stays so")
        if not member.healthy and member.announced and others >= FLOOR:
            protected = hold is not None and hold.present and not over
            if not protected:
                raise Hole(f"{name} is broken, not needed for the floor, and stays announced")
