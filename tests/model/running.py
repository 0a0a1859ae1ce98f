"""The runs of a world: they begin, take steps, are stopped and killed; and time passes."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

from anycast_handlers.activators._choice import VERSION
from anycast_handlers.decision.facts import Policy, State, StateType
from anycast_handlers.endpoint.change import HELPER
from anycast_handlers.endpoint.check import confirmation
from anycast_handlers.endpoint.drain import COUNTERS
from anycast_handlers.endpoint.look import BOOT
from anycast_handlers.endpoint.site import CLOCK
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.operation.request import Request

from tests.model import helper
from tests.model.answers import check, is_about_notes, remember, say
from tests.model.deeds import flood, note_scarcity
from tests.model.stepping import (
    UNLOCK,
    Ahead,
    Answer,
    Effect,
    Fault,
    Kind,
    Node,
    Program,
    read_order,
)
from tests.model.world import (
    ADDRESSES,
    HOSTS,
    LONG_AGO,
    NAMES,
    TICK,
    Command,
    Heard,
    Run,
    World,
    is_ample,
    pool,
    watcher_of,
)
from tests.support.verbs import VERBS

VIP = Vip(
    "resolver",
    ADDRESSES[0],
    "lo:0",
    ("/check", "dns"),
    tuple(Endpoint(name, f"198.51.100.{n}") for n, name in enumerate(NAMES, 1)),
    max_restores=2,
    activator="ip",
    min_announcing="1",
    drain=0,
)
TWIN = VIP._replace(name="twin", address=ADDRESSES[1], interface="lo:1")
CONFIRM_TICKS, LOCK_TICKS, AHEAD_TICKS = 8, 20, 16
# An orphaned command may still begin so long after the last tick at which it may take effect.
ORPHAN_TICKS = 4


class How(Enum):
    """What becomes of a command of the helper that a run sends.

    PROMPT is done at once, SLOWLY is begun at once, and goes on by and by. UNHEARD is done at once,
    but its answer is lost. HANGING begins later, or never; CUT does too, and the connection is lost
    at once.
    """

    PROMPT = "prompt"
    SLOWLY = "slowly"
    UNHEARD = "unheard"
    HANGING = "hanging"
    CUT = "cut"


def _is_quiet(run: Run) -> bool:
    """Whether a question takes no part in a race, and is answered with the step before it."""
    effect = run.node.effect
    if effect is None or effect.kind in (Kind.LOCK, Kind.SLEEP, Kind.AHEAD):
        return False
    if run.node.program.ahead is Ahead.ASKS:
        # All is asked at the same time.
        return run.begun
    quiet = (BOOT, CLOCK, VERSION, COUNTERS)
    return effect.kind is not Kind.RUN or effect.argv in quiet or is_about_notes(effect)


@cache
def program(vips: tuple[Vip, ...], verb: str, place: int, state: State | None) -> Node:
    """Give the beginning of a run."""
    vip = vips[place // HOSTS]
    endpoint = vip.endpoints[place % HOSTS]
    fleet = Fleet("", Ssh("root", "/", "/"), vips, Paths(stop="/dev/null/stop"))
    policy = Policy(max_restores=vip.max_restores)
    if verb not in VERBS:
        request, order = read_order(fleet, verb, vip, endpoint)
        return Node(Program(fleet, request, policy, order))
    kind = None if state is None else StateType.HARD
    return Node(Program(fleet, Request(VERBS[verb], vip, endpoint, state, kind), policy))


def start(
    world: World,
    host: int,
    verb: str,
    place: int,
    state: State | None,
    **changes: Any,
) -> World:
    """Start a handler on a monitoring host; the changes are about the VIP."""
    node = program(vips_of(world, **changes), verb, place, state)
    run = Run(host, node, world.tick, world.tick, place)
    if run.by_hand:
        orders = [other for other in world.runs if other.by_hand and other.place == place]
        late = any(one.by_hand and one.place == place for one in world.orphans)
        runs = tuple(r._replace(alone=False) if r in orders else r for r in world.runs)
        world = world._replace(runs=runs)
        run = run._replace(alone=not orders and not late)
    return begin_run(world, run)


def vips_of(world: World, **changes: Any) -> tuple[Vip, ...]:
    """Give the VIPs of a world, with changes."""
    return tuple(vip._replace(**changes) for vip in (VIP, TWIN)[: len(world.members) // HOSTS])


def begin_run(world: World, run: Run) -> World:
    """Add a run, which then waits before its first step."""
    return _proceed(world._replace(runs=(*world.runs, run)), len(world.runs))


def enabled(world: World, number: int) -> bool:
    """Whether a run can take its next step."""
    run = world.runs[number]
    if world.tick < run.stopped:
        return False
    if run.command is not None:
        return run.command.reply is not None or world.tick >= run.wakes
    if run.effect.kind is Kind.LOCK:
        return _is_free(world, run) or world.tick >= run.wakes
    if run.effect.kind is Kind.AHEAD:
        return _heard_ahead(world, run) is not None or world.tick >= run.wakes
    return run.effect.kind is not Kind.SLEEP or world.tick >= run.wakes


def _is_free(world: World, run: Run) -> bool:
    vip = run.place // HOSTS
    return not any(r.locked and (r.host, r.place // HOSTS) == (run.host, vip) for r in world.runs)


def sends(world: World, number: int) -> bool:
    """Whether the next step of a run is to send a command to the helper."""
    run = world.runs[number]
    return run.command is None and run.effect.kind is Kind.RUN and run.effect.argv == (HELPER,)


def awaits_ahead(run: Run) -> bool:
    """Whether the next step of a run is to take what was asked ahead."""
    return run.node.effect is not None and run.effect.kind is Kind.AHEAD


def waits(world: World, number: int) -> bool:
    """Tell whether a run lets time pass: it sleeps, runs the check, or waits for something."""
    run = world.runs[number]
    if not enabled(world, number):
        return True
    is_check = run.node.program.ahead is Ahead.ASKS or _is_check(run)
    return run.command is None and is_check and world.tick < run.wakes + CONFIRM_TICKS


def _is_check(run: Run) -> bool:
    return run.effect.kind is Kind.RUN and run.effect.argv == confirmation(vip_of(run))


def vip_of(run: Run) -> Vip:
    """Give the VIP that a run is for."""
    return run.node.program.request.vip


def step(world: World, number: int, how: How = How.PROMPT, fault: Fault | None = None) -> World:
    """Let a run take one step; with a fault the step is done, but the run gets no answer."""
    run = world.runs[number]
    if not run.ample and is_ample(world, run.place):
        world = change(world, number, ample=True)
    if run.command is not None:
        return _hear_of(world, number)
    if sends(world, number):
        return _send(world, number, how)
    world, answer, acted = _answer(world, number, run.effect)
    world = change(world, number, acted=acted, begun=True)
    world = _hear(world, number, fault or answer)
    return _proceed(world, number)


def _send(world: World, number: int, how: How) -> World:
    run, effect = world.runs[number], world.runs[number].effect
    if not world.members[_place(run, effect)].on:
        return _proceed(_hear(world, number, Fault.UNREACHABLE), number)
    wakes = world.tick + _ticks(effect.seconds)
    place = _place(run, effect)
    verb, by_hand = run.verb, run.by_hand
    command = Command(place, effect.stdin, verb, by_hand, world.tick, wakes, mine=run.mine)
    command = command._replace(hangs=how in (How.HANGING, How.CUT), well=run.well)
    world = change(world, number, command=command, wakes=wakes, acted=True)
    if how is How.CUT:
        return _hear_nothing(world, number)
    if command.hangs or not helper.may_begin(world, command):
        return world
    world = begin(world, number)
    if how is How.SLOWLY:
        return world
    while (command := _command(world, number)).work is not None:
        world = go_on(world, number)
    return _hear_nothing(world, number) if how is How.UNHEARD else _hear_of(world, number)


def _command(world: World, number: int) -> Command:
    """Give a command: of the run of that number, or, below zero, an orphaned one."""
    if number < 0:
        return world.orphans[number]
    command = world.runs[number].command
    assert command is not None
    return command


def _with_command(world: World, number: int, command: Command) -> World:
    if number >= 0:
        return change(world, number, command=command, acted=True)
    orphans = list(world.orphans)
    orphans[number] = command
    return world._replace(orphans=tuple(orphans))


def begin(world: World, number: int) -> World:
    """Let the helper begin with a command; see _command for the number."""
    return _with_command(world, number, helper.begin(world, _command(world, number)))


def go_on(world: World, number: int) -> World:
    """Let the helper go on with a command."""
    world, command = helper.go_on(world, _command(world, number))
    return _with_command(world, number, command)


def commands(world: World) -> dict[int, Command]:
    """List all commands that have not ended, by their numbers."""
    found = {n: run.command for n, run in enumerate(world.runs) if run.command}
    found |= {n: world.orphans[n] for n in range(-len(world.orphans), 0)}
    return {n: one for n, one in found.items() if one.reply is None}


def is_able(world: World, command: Command) -> bool:
    """Whether the helper can go on with a command, or begin with it."""
    return command.work is not None or helper.may_begin(world, command)


def _hear_of(world: World, number: int) -> World:
    command = _command(world, number)
    if command.reply is None:
        return _hear_nothing(world, number)
    world = change(world, number, command=None, mine=command.mine)
    return _proceed(_hear(world, number, command.reply), number)


def _hear_nothing(world: World, number: int) -> World:
    """Tell a run that the outcome of its command is unknown.

    Where it waits then, it says that it knows for how long the command may still take effect.
    """
    command = _command(world, number)
    world = change(world, number, command=None, mine=command.mine)
    world = _hear(world, number, Fault.UNKNOWN)
    return _proceed(world, number, leave=command)


def _proceed(world: World, number: int, leave: Command | None = None) -> World:
    while _is_quiet(world.runs[number]):
        world, answer, _ = _answer(world, number, world.runs[number].effect)
        world = _hear(world, number, answer)
    run = world.runs[number]
    ended = run.node.effect is None
    if ended:
        world = end(world, number)
    elif run.effect.kind is Kind.SLEEP:
        # The handler polls OSPF each tenth of a second; once a tick is often enough here.
        world = change(world, number, wakes=world.tick + max(1, _ticks(run.effect.seconds)))
    else:
        wait = {Kind.LOCK: LOCK_TICKS, Kind.AHEAD: AHEAD_TICKS}.get(run.effect.kind, 0)
        world = change(world, number, wakes=world.tick + wait)
    if leave is not None and leave.reply is None:
        sleeps = not ended and run.effect.kind is Kind.SLEEP
        until = world.runs[number].wakes if sleeps else world.tick - 1
        world = world._replace(orphans=(*world.orphans, leave._replace(until=until)))
    return world


def _ticks(seconds: float) -> int:
    return int(seconds / TICK + 0.999)


def stop(world: World, number: int, ticks: int, *, frozen: bool = False) -> World:
    """Stop a run for some ticks; its clock stands still as long where it is frozen."""
    run = world.runs[number]
    run = run._replace(stopped=world.tick + ticks)
    if frozen:
        run = run._replace(lost=run.lost + ticks, wakes=run.wakes + ticks)
    return change(world, number, **run._asdict())


def end(world: World, number: int, *, killed: bool = False) -> World:
    """End a run; the kernel releases its lock, however it ends."""
    run = world.runs[number]
    world = world._replace(runs=world.runs[:number] + world.runs[number + 1 :])
    if killed and run.command is not None and run.command.reply is None:
        world = world._replace(orphans=(*world.orphans, run.command))
    if run.by_hand:
        world = world.member(run.place, ordered=_ordered(world, run, killed=killed))
    if run.of and not killed:
        world = _report(world, run)
    outcome = run.node.outcome
    if not killed and outcome is not None:
        verified = outcome.entry()["verified"] or {}
        if verified.get("other_addresses") is False:
            world = world._replace(damage=True)
    return world


def _report(world: World, run: Run) -> World:
    """Tell the watcher that an act has ended, or keep for an act what was asked ahead of it."""
    number = watcher_of(world, run)
    watcher = world.watchers[number]
    if run.node.outcome is not None:
        return world.watcher(number, ended=(*watcher.ended, run))
    assert run.asked is not None
    others = tuple(one for one in watcher.heard if one.place != run.place)
    at = world.tick - watcher.lost
    confirmed = run.confirmed > LONG_AGO
    heard = Heard(run.place, run.asked, at, run.node.told, run.ample, confirmed)
    return world.watcher(number, heard=(*others, heard))


def _heard_ahead(world: World, run: Run) -> Heard | None:
    heard = world.watchers[watcher_of(world, run)].heard
    return next((one for one in heard if one[:2] == (run.place, run.asked)), None)


def _take_ahead(world: World, number: int) -> tuple[World, Any]:
    """Hand on what was asked ahead, with the times of the run's own clock; it is used once."""
    run = world.runs[number]
    at = watcher_of(world, run)
    watcher, heard = world.watchers[at], _heard_ahead(world, run)
    if heard is None:
        return world, None
    since = run.started - watcher.lost + run.lost
    told = tuple(one._replace(now=(heard.at - since) * TICK) for one in heard.told)
    world = world.watcher(at, heard=tuple(one for one in watcher.heard if one is not heard))
    confirmed = heard.at + watcher.lost - run.lost if heard.confirmed else run.confirmed
    return change(world, number, ample=run.ample or heard.ample, confirmed=confirmed), told


def _ordered(world: World, run: Run, *, killed: bool) -> str:
    """Give what a person now believes about the hold."""
    outcome = run.node.outcome
    if killed or not run.alone or outcome is None:
        return ""
    words = {"hold": "held", "withdraw": "held", "release": "released", "restore": "released"}
    if outcome.exit == 0:
        return words.get(run.verb, "")
    return world.members[run.place].ordered if outcome.exit == 1 else ""


def change(world: World, number: int, **changes: Any) -> World:
    """Change one run."""
    runs = list(world.runs)
    runs[number] = runs[number]._replace(**changes)
    return world._replace(runs=tuple(runs))


def _hear(world: World, number: int, value: Any) -> World:
    run = world.runs[number]
    now = (world.tick - run.started - run.lost) * TICK
    return change(world, number, node=run.node.after(Answer(now, value)))


def _place(run: Run, effect: Effect) -> int:
    return pool(run.place)[NAMES.index(effect.where)]


def _check(world: World, number: int, place: int) -> tuple[World, Any]:
    """Let the endpoint's own check run, and note for the invariants what it has found."""
    member, run = world.members[place], world.runs[number]
    world = world.member(place, dead=not member.healthy)
    if member.healthy:
        world = change(world, number, well=world.tick)
    elif member.announced:
        world = change(world, number, confirmed=world.tick - run.lost)
    return world, check(healthy=member.healthy, announced=member.announced, slow=world.slow)


def _answer(world: World, number: int, effect: Effect) -> tuple[World, Any, bool]:
    """Give the world afterwards, the answer, and whether something was changed."""
    run = world.runs[number]
    if effect.kind is Kind.LOCK:
        if not _is_free(world, run):
            return world, Fault.LOCKED, False
        return change(world, number, locked=True), None, False
    if effect.kind is Kind.SLEEP:
        return world, None, False
    if effect.kind is Kind.AHEAD:
        return *_take_ahead(world, number), False
    if effect.argv == UNLOCK:
        return change(world, number, locked=False), None, False
    if effect.kind in (Kind.NOTE, Kind.RECALL):
        return *remember(world, run, effect), False
    place = _place(run, effect)
    if not world.members[place].on or world.members[place].deaf:
        return world, Fault.UNREACHABLE, False
    if effect.kind is Kind.CONNECT:
        return world, None, False
    if effect.argv == confirmation(vip_of(run)):
        return *_check(world, number, place), False
    return world, say(world, place, effect), False


def pass_time(world: World) -> World:
    """Let a tick pass, and flood each change that is due."""
    world = world._replace(tick=world.tick + 1)
    for place, member in enumerate(world.members):
        if member.lags and member.due <= world.tick:
            world = flood(world, place)
    world = note_scarcity(world)
    orphans = tuple(one for one in world.orphans if world.tick <= one.until + ORPHAN_TICKS)
    return world._replace(orphans=orphans)


def may_pass(world: World) -> bool:
    """Whether time may pass: nothing that takes no time is left to be done."""
    for command in commands(world).values():
        if command.work is not None:
            if world.tick >= command.began + helper.read(command).ticks:
                return False
        elif not command.hangs and helper.may_begin(world, command):
            return False
    return all(waits(world, number) for number in range(len(world.runs)))
