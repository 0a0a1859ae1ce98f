"""The search: it takes every interleaving of a few runs, and checks the invariants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from tests.model import helper, running, watching
from tests.model.deeds import flood
from tests.model.invariants import (
    Hole,
    check_effect,
    check_sending,
    check_time,
    of_command,
    of_run,
)
from tests.model.mind import ASK
from tests.model.running import How
from tests.model.settling import settle
from tests.model.stepping import Fault
from tests.model.world import TICK, Command, World, watcher_of

Move = Callable[[World], World]
Moves = tuple[tuple[str, Move], ...]


# Gives the name of what happens; most names are never asked for.
Name = Callable[[], str]


class Size:
    """Counts how much was searched."""

    def __init__(self) -> None:
        self.states = self.transitions = self.ends = 0

    def __str__(self) -> str:
        return f"{self.states} states, {self.transitions} transitions, {self.ends} ends"


class Faults(NamedTuple):
    """What may still go wrong on the way.

    Attributes:
        kills: runs that are killed.
        late: commands that come late, are lost, or go on step by step.
        stops: runs that are stopped.
        moves: other things that happen.
    """

    kills: int = 0
    late: int = 0
    stops: int = 0
    moves: int = 0


class Point(NamedTuple):
    """A world, and what may still go wrong."""

    world: World
    faults: Faults


# For how many ticks a run is stopped, and whether its clock stands still.
Stops = tuple[tuple[int, bool], ...]
STOPS: Stops = ((4, False), (20, False), (60, False), (4, True), (20, True), (60, True))
AGES = (1, 5, 9, 10, 22, 25, 27)
LATE = (How.SLOWLY, How.UNHEARD, How.HANGING, How.CUT)


class Limits(NamedTuple):
    """What may happen beside the steps of the runs, as far as the faults are not used up.

    ``ages`` are the ticks after which a late command may begin; it is empty for any tick. Where the
    watchers are ``eager`` their turn comes before all else in a tick, and what they ask ahead is
    answered at once, so that the answers are as old as they can be when they are used.
    """

    faults: Faults
    moves: Moves = ()
    stops: Stops = STOPS
    late: tuple[How, ...] = LATE
    ages: tuple[int, ...] = ()
    eager: bool = True

    def lets(self, command: Command, tick: int) -> bool:
        """Whether a command that is late may do something at a tick."""
        if command.work is not None:
            age = tick - command.began
            return not self.ages or age in (0, 4) or age >= helper.read(command).ticks
        return not self.ages or not command.hangs or tick - command.sent in self.ages


def successors(at: Point, limits: Limits) -> Iterator[tuple[Name, Point]]:
    """List everything that can happen next, with its name."""
    world, faults = at
    turns = [(name, at._replace(world=after)) for name, after in _turns(world, limits)]
    yield from turns
    if limits.eager and turns:
        return
    yield from _steps(at, limits.late)
    for number, command in running.commands(world).items():
        if running.is_able(world, command) and limits.lets(command, world.tick):
            yield partial(_said, command), at._replace(world=let_work(world, number))
    for place, member in enumerate(world.members):
        if member.lags:
            yield f"flood {place + 1}".format, at._replace(world=flood(world, place))
    if faults.moves:
        yield from _moves(at, limits.moves)
    if faults.stops:
        yield from _stops(at, limits.stops)
    if watching.may_pass(world):
        after = watching.pass_time(world)
        if faults == limits.faults:
            check_time(after)
        yield "tick".format, at._replace(world=after)


def _turns(world: World, limits: Limits) -> Iterator[tuple[Name, World]]:
    """List the turns of the watchers; where they are eager, the one that comes before all else."""
    if limits.eager:
        for number, run in enumerate(world.runs):
            if (run.of == ASK or running.awaits_ahead(run)) and running.enabled(world, number):
                yield partial(name_of, world, number), take_step(world, number)
                return
    for number, watcher in enumerate(world.watchers):
        if watching.is_due(world, number):
            yield f"watcher m{watcher.host + 1}".format, watching.turn(world, number)
            if limits.eager:
                return


def _moves(at: Point, moves: Moves) -> Iterator[tuple[Name, Point]]:
    spent = at.faults._replace(moves=at.faults.moves - 1)
    for name, move in moves:
        moved = move(at.world)
        if moved is not at.world:
            yield name.format, Point(moved, spent)


def _stops(at: Point, stops: Stops) -> Iterator[tuple[Name, Point]]:
    world, spent = at.world, at.faults._replace(stops=at.faults.stops - 1)
    for number, watcher in enumerate(world.watchers):
        for ticks, frozen in stops:
            stopped = watching.stop(world, number, ticks, frozen=frozen)
            what = f"stop for {ticks * TICK} s{', and its clock' * frozen}: watcher"
            yield f"{what} m{watcher.host + 1}".format, Point(stopped, spent)
    for number, run in enumerate(world.runs):
        for ticks, frozen in stops if running.enabled(world, number) and not run.of else ():
            stopped = running.stop(world, number, ticks, frozen=frozen)
            what = f"stop for {ticks * TICK} s{', and its clock' * frozen}: "
            yield partial(name_of, world, number, what), Point(stopped, spent)


def _steps(at: Point, late: tuple[How, ...]) -> Iterator[tuple[Name, Point]]:
    world, faults = at
    for number, run in enumerate(world.runs):
        if running.enabled(world, number):
            yield partial(name_of, world, number), at._replace(world=take_step(world, number))
            if faults.late and running.sends(world, number):
                spent = faults._replace(late=faults.late - 1)
                for how in late:
                    after = take_step(world, number, how)
                    yield partial(name_of, world, number, f"{how.value}: "), Point(after, spent)
        if faults.kills and run.acted:
            killed = kill(world, number)
            spent = faults._replace(kills=faults.kills - 1)
            yield partial(name_of, world, number, "kill "), Point(killed, spent)


def kill(world: World, number: int) -> World:
    """Kill a run, and where that is one of a watcher, the watcher with all of them."""
    run = world.runs[number]
    if run.of:
        return watching.kill(world, watcher_of(world, run))
    return running.end(world, number, killed=True)


def stop(world: World, number: int, ticks: int, *, frozen: bool) -> World:
    """Stop a run, and where that is one of a watcher, the watcher with all of them."""
    run = world.runs[number]
    if run.of:
        return watching.stop(world, watcher_of(world, run), ticks, frozen=frozen)
    return running.stop(world, number, ticks, frozen=frozen)


def take_step(
    world: World, number: int, how: How = How.PROMPT, fault: Fault | None = None
) -> World:
    """Let a run take a step, and check it."""
    after = running.step(world, number, how, fault)
    check_effect(world, after, of_run(world, world.runs[number]))
    if len(after.runs) == len(world.runs) and running.sends(after, number):
        check_sending(after, after.runs[number])
    return after


def let_work(world: World, number: int, *, slowly: bool = False) -> World:
    """Let the helper go on with a command that it has begun, or do all of one that comes late."""
    command = running.commands(world)[number]
    if command.work is not None:
        world = _go_on(world, number, command)
    else:
        world = running.begin(world, number)
        while not slowly and (begun := running.commands(world).get(number)):
            world = _go_on(world, number, begun)
    orphans = tuple(one for one in world.orphans if one.reply is None)
    return world if orphans == world.orphans else world._replace(orphans=orphans)


def _go_on(world: World, number: int, command: Command) -> World:
    after = running.go_on(world, number)
    check_effect(world, after, of_command(world, command))
    return after


def name_of(world: World, number: int, what_else: str = "") -> str:
    """Say what a run is about to do, and what happens to it there."""
    run = world.runs[number]
    request = run.node.program.request
    what = " ".join(run.effect.argv) or run.effect.kind.value
    if running.sends(world, number):
        what = _said_by(run.effect.stdin)
    elif run.command is not None:
        what = "hear of its command"
    who = f"m{run.host + 1} {request.verb.name} {request.vip.name} {request.endpoint.name}"
    state = f" {request.state.name}" if request.state else ""
    return f"{what_else}[{world.tick * TICK} s {who}{state}] {what}"


def _said(command: Command) -> str:
    return f"the helper: {command.verb} {command.place + 1}: {_said_by(command.request)}"


def _said_by(request: str) -> str:
    lines = (line.split(" {")[0] for line in request.splitlines()[7:-1])
    return "helper: " + ", ".join(lines)


class End(NamedTuple):
    """A settled world without runs; ``faulty`` tells of faults, ``way`` the steps."""

    world: World
    faulty: bool
    way: Callable[[], str]


def explore(world: World, size: Size, limits: Limits | None = None) -> list[End]:
    """Take every interleaving to its end; raises Hole, with the steps that lead to it."""
    limits = limits or Limits(Faults())
    first = Point(world, limits.faults)
    came: dict[Point, tuple[Point, Name] | None] = {first: None}
    queue = deque([first])
    ends: dict[tuple[World, bool], End] = {}
    while queue:
        at = queue.popleft()
        size.states += 1
        if not (at.world.runs or at.world.orphans or at.world.watchers):
            end = End(settle(at.world), at.faults != first.faults, partial(_way, came, at))
            ends.setdefault(end[:2], end)
            continue
        try:
            for name, following in successors(at, limits):
                size.transitions += 1
                if following not in came:
                    came[following] = (at, name)
                    queue.append(following)
        except Hole as hole:
            raise Hole(f"{hole}\n{_way(came, at)}\n{at.world.members}") from hole
    size.ends += len(ends)
    return list(ends.values())


def _way(came: dict[Point, tuple[Point, Name] | None], at: Point) -> str:
    names = []
    while (before := came[at]) is not None:
        at, name = before
        names.append(name())
    return "\n".join(names[::-1])
