"""The watchers of a world: what they hear, what they begin, and how they are stopped and killed."""

from __future__ import annotations

from functools import cache
from typing import Any

from anycast_handlers.decision.facts import Policy, State, StateType
from anycast_handlers.fleet.values import Fleet, Paths, Ssh, StreamSettings, Vip, Watch
from anycast_handlers.operation.request import Request
from anycast_handlers.watch import acts
from anycast_handlers.watch.line import Beat, Hello, Line, Sample

from tests.model import running
from tests.model.invariants import check_begun
from tests.model.mind import ASK, LOOK, NEVER, Begun, Mind, Turn
from tests.model.stepping import Ahead, Node, Program
from tests.model.world import (
    HOSTS,
    LONG_AGO,
    PATIENCE,
    SAMPLES,
    TICK,
    UPTIME,
    Run,
    Watcher,
    Wire,
    World,
    fails_of,
)

STREAM = StreamSettings(interval=TICK, samples=SAMPLES, patience=PATIENCE * TICK)
# An older line says nothing about this moment.
LATE_TICKS = 2


@cache
def fleet_of(vips: tuple[Vip, ...], rank: int, cause_patience: float) -> Fleet:
    """Give what a watcher reads in its fleet file."""
    streamed = tuple(vip._replace(stream=STREAM) for vip in vips)
    paths = Paths(stop="/dev/null/stop")
    watch = Watch(STREAM, common_cause_patience=cause_patience, rank=rank)
    return Fleet("", Ssh("root", "/", "/"), streamed, paths, watch)


def start(
    world: World,
    host: int,
    ticks: int,
    *,
    rank: int = 0,
    pace: float = NEVER,
    cause_patience: float = 60.0,
    **changes: Any,
) -> World:
    """Start a watcher for so many ticks; the changes are about the VIP."""
    fleet = fleet_of(running.vips_of(world, **changes), rank, cause_patience)
    mind = Mind.begin(fleet, world.tick * TICK, pace)
    wires = (Wire(),) * len(world.members)
    cause = int(cause_patience / TICK)
    watcher = Watcher(host, mind, wires, world.tick + ticks, rank, cause, pace)
    return world._replace(watchers=(*world.watchers, watcher))


def is_due(world: World, number: int) -> bool:
    """Whether a watcher has something to hear: of its streams, once a tick, or of its runs."""
    watcher = world.watchers[number]
    return world.tick >= watcher.stopped and bool(watcher.turned < world.tick or watcher.ended)


def turn(world: World, number: int) -> World:
    """Let a watcher hear of a run, or else what its streams say, and do what follows from it."""
    watcher = world.watchers[number]
    if watcher.ended:
        return _hear_of(world, number, watcher.ended[0])
    if world.tick >= watcher.until:
        if any(run.of and run.host == watcher.host for run in world.runs):
            return world.watcher(number, turned=world.tick)
        return _without(world, number)
    world, lines = _hear(world, number)
    return _follow(world, number, watcher.mind.turn(_now(world, watcher), lines))


def _hear_of(world: World, number: int, run: Run) -> World:
    watcher = world.watchers[number]
    world = world.watcher(number, ended=watcher.ended[1:])
    state, outcome = run.node.program.request.state, run.node.outcome
    assert state is not None
    assert outcome is not None
    told = watcher.mind.acted(_now(world, watcher), Begun(run.of, run.place, state), outcome)
    return _follow(world, number, told)


def _hear(world: World, number: int) -> tuple[World, tuple[tuple[Line, ...], ...]]:
    """Let the streams of a watcher say what they have to say, and take what has come of it."""
    wires, lines = [], []
    watcher = world.watchers[number]
    for place, wire in enumerate(watcher.wires):
        said = _say(world, place, wire)
        latest = UPTIME + (world.tick - said.slow) * TICK
        come = tuple(one for one in said.pending if one and one.uptime <= latest)
        if come:
            said = said._replace(pending=said.pending[len(come) :])
            said = _listen(said, come, world.tick, watcher.lost)
        wires.append(said)
        lines.append(come)
    return world.watcher(number, wires=tuple(wires), turned=world.tick), tuple(lines)


def _say(world: World, place: int, wire: Wire) -> Wire:
    """Let the stream of an endpoint say how its service is, as `check_anycast` does."""
    member, uptime = world.members[place], UPTIME + world.tick * TICK
    if not member.on or member.deaf:
        return wire
    line: Line
    if wire.boot is None:
        line = Hello("1", member.boot_id, STREAM.interval, (), uptime)
        return Wire(member.boot, slow=wire.slow, pending=(line,))
    if wire.boot != member.boot:
        return wire
    failing, row = not member.healthy, 0
    if failing:
        row = min(SAMPLES + 1, wire.row + 1 if wire.present is member.announced else 1)
    state = wire.state
    if not failing:
        state = "OK"
    elif row >= SAMPLES or (state == "CRITICAL" and not member.announced):
        state = "CRITICAL" if member.announced else "WARNING"
    line = Beat(1, uptime)
    if failing or (state, member.announced) != (wire.state, wire.present):
        kind = fails_of(place) if failing else "right"
        began = uptime - TICK / 10
        there = member.announced
        line = Sample(State[state], failing, there, kind, "said", row, began, uptime)
    pending = (*wire.pending, line)
    return wire._replace(state=state, present=member.announced, row=row, pending=pending)


def _listen(wire: Wire, lines: tuple[Line, ...], tick: int, lost: int) -> Wire:
    """Note for the invariants what lines have proven.

    A watcher whose clock has stood still for ``lost`` ticks cannot know that lines are so late.
    """
    for line in lines:
        assert line is not None
        taken = int((line.uptime - UPTIME) / TICK)
        if isinstance(line, Hello):
            wire = wire._replace(since=tick, failing=None, last=LONG_AGO, failures=0)
        elif tick - lost - taken > LATE_TICKS or (isinstance(line, Sample) and not line.failing):
            wire = wire._replace(failing=None, failures=0)
        elif isinstance(line, Sample):
            failing = taken if wire.failing is None else wire.failing
            failures = line.failures
            wire = wire._replace(failing=failing, last=tick - lost, failures=failures)
    return wire


def _follow(world: World, number: int, turn: Turn) -> World:
    """Begin what a watcher begins, and forget the streams that it has lost."""
    watcher = world.watchers[number]
    wires = list(watcher.wires)
    for place in turn.lost:
        wires[place] = Wire()
    world = world.watcher(number, mind=turn.mind, wires=tuple(wires))
    for begun in turn.begun:
        world = _begin(world, number, begun)
    return world


def _begin(world: World, number: int, begun: Begun) -> World:
    watcher = world.watchers[number]
    ahead = Ahead.NOTHING if begun.asked is None else Ahead.WAITS
    node = _program(watcher.mind.fleet, begun._replace(asked=None), ahead)
    run = Run(watcher.host, node, world.tick, world.tick, begun.place)
    run = run._replace(of=begun.what, asked=begun.asked)
    check_begun(world, run)
    return running.begin_run(world, run)


@cache
def _program(fleet: Fleet, begun: Begun, ahead: Ahead) -> Node:
    vip = fleet.vips[begun.place // HOSTS]
    verb = acts.LOOK if begun.what == LOOK else acts.ACT
    endpoint = vip.endpoints[begun.place % HOSTS]
    request = Request(verb, vip, endpoint, begun.state, StateType.HARD)
    how = Ahead.ASKS if begun.what == ASK else ahead
    return Node(Program(fleet, request, Policy(max_restores=vip.max_restores), ahead=how))


def forget() -> None:
    """Forget all that was computed."""
    _program.cache_clear()
    Mind.forget()


def cut(world: World, place: int) -> World:
    """Let the streams of an endpoint end, which is noticed at once; they are opened again."""
    for number, watcher in enumerate(world.watchers):
        if watcher.wires[place].boot is not None and world.tick >= watcher.stopped:
            world = _follow(world, number, watcher.mind.lose(_now(world, watcher), place))
    return world


def slow_down(world: World, place: int, ticks: int) -> World:
    """Let each line of an endpoint's streams be under way for so many ticks from now on.

    A stream that is slow from its beginning is none that comes late, as far as anybody can tell.
    """
    for number, watcher in enumerate(world.watchers):
        wires = list(watcher.wires)
        if wires[place].since is not None:
            wires[place] = wires[place]._replace(slow=ticks)
            world = world.watcher(number, wires=tuple(wires))
    return world


def stop(world: World, number: int, ticks: int, *, frozen: bool) -> World:
    """Stop a watcher with all its runs; its clock stands still as long where it is frozen."""
    watcher = world.watchers[number]
    for at, run in enumerate(world.runs):
        if run.of and run.host == watcher.host:
            world = running.stop(world, at, ticks, frozen=frozen)
    lost = watcher.lost + ticks * frozen
    return world.watcher(number, stopped=world.tick + ticks, lost=lost)


def may_pass(world: World) -> bool:
    """Whether time may pass: each watcher has had its turn, and nothing else is left to do."""
    idle = not any(is_due(world, number) for number in range(len(world.watchers)))
    return idle and running.may_pass(world)


def pass_time(world: World) -> World:
    """Let a tick pass; what a stream says to a watcher that is stopped is heard later."""
    world = running.pass_time(world)
    for number, watcher in enumerate(world.watchers):
        if world.tick < watcher.stopped:
            wires = tuple(_say(world, place, wire) for place, wire in enumerate(watcher.wires))
            world = world.watcher(number, wires=wires)
    return world


def kill(world: World, number: int) -> World:
    """Kill a watcher with all its runs; systemd starts it anew."""
    watcher = world.watchers[number]
    while (at := _run_of(world, watcher)) is not None:
        world = running.end(world, at, killed=True)
    mind = Mind.begin(watcher.mind.fleet, world.tick * TICK, watcher.pace)
    wires = (Wire(),) * len(watcher.wires)
    return world.watcher(
        number, mind=mind, wires=wires, turned=world.tick, heard=(), ended=(), lost=0
    )


def _run_of(world: World, watcher: Watcher) -> int | None:
    mine = (n for n, run in enumerate(world.runs) if run.of and run.host == watcher.host)
    return next(mine, None)


def _now(world: World, watcher: Watcher) -> float:
    return (world.tick - watcher.lost) * TICK


def _without(world: World, number: int) -> World:
    return world._replace(watchers=world.watchers[:number] + world.watchers[number + 1 :])
