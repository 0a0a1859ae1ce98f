"""What must hold in every world: these functions know the world alone, and nothing of the product.

What a latch or a hold says is read from its file, and what a person wants, or was told, from fields
of `Member` that only the model keeps.
"""

from __future__ import annotations

from typing import NamedTuple

from anycast_handlers.decision.facts import State

from tests.model.mind import ACT, ASK, LOOK
from tests.model.world import (
    HOSTS,
    NAMES,
    PATIENCE,
    SAMPLES,
    Command,
    Member,
    Run,
    Watcher,
    World,
    fails_of,
    forbids,
    is_damped,
    is_latched,
    is_scarce,
    lacks,
    order,
    others,
    pool,
    protects,
    restores,
    watcher_of,
)

MAX_RESTORES = 2
# The recount is 2.5 s after the withdrawal at most, and two changes of a host are 1.5 s apart.
RECOUNT_TICKS = 10
# So old is the scarcity at most for which a dead service is brought back.
SCARCE_TICKS = 30
# A withdrawal is taken back so long after it at most, because too few others announce.
TAKE_BACK_TICKS = 60
# A command that takes it back may be late.
LATEST_TICKS = TAKE_BACK_TICKS + 24
# What was asked ahead is used for a second, and a run that was stopped for 3 s looks again.
GROUNDS_TICKS = 8
# An interval, the time of a question, and some room: so long the last sample tells how it is.
HEARD_TICKS = 5
# The watcher of rank 1 lets the first one act for a second.
RANK_TICKS = 2
TOGETHER_TICKS = 20
# A service may die, and another run find it dead, after this run has found it well: the command may
# be late, and may go on for long.
BELIEVED_TICKS = 24


class Hole(AssertionError):  # noqa: N818 - the word of the README
    """The search has found a world that breaks an invariant."""


class Actor(NamedTuple):
    """Who takes a step: the verb, whether a hold forbids it, and the last tick for an effect.

    ``well`` is the tick at which it has found the service well.
    """

    verb: str
    by_hand: bool
    held: bool
    until: int
    mine: str
    well: int


def of_run(world: World, run: Run) -> Actor:
    """Name the actor of a step that a run takes."""
    member = world.members[run.place]
    held = forbids(member, world.clock)
    return Actor(run.verb, run.by_hand, held, world.tick, run.mine, run.well)


def of_command(world: World, command: Command) -> Actor:
    """Name the actor of what a command does."""
    member = world.members[command.place]
    held = forbids(member, world.clock)
    if command.work is not None:
        held = command.work.held
    return Actor(command.verb, command.by_hand, held, command.until, command.mine, command.well)


def check_effect(before: World, after: World, actor: Actor) -> None:
    """Check what one step has changed."""
    for place, (was, now) in enumerate(zip(before.members, after.members, strict=True)):
        changed = (was.announced, was.latch, was.hold) != (now.announced, now.latch, now.hold)
        if changed and before.tick > actor.until:
            raise Hole(f"a command of {actor.verb} took effect after its run had given it up")
        if actor.by_hand:
            _check_orders(was, now, actor)
        else:
            _check_automation(before, place, now, actor)


def _check_orders(was: Member, now: Member, actor: Actor) -> None:
    takes_back = actor.verb not in ("hold", "release", "restore") and actor.mine
    if takes_back and was.hold not in (actor.mine, now.hold):
        raise Hole("a hold was lost that another person has placed meanwhile")


def _check_automation(before: World, place: int, now: Member, actor: Actor) -> None:
    was = before.members[place]
    if was.hold != now.hold:
        raise Hole("the automation has changed a hold")
    if was.announced and not now.announced and actor.held:
        raise Hole("withdrawn against a hold")
    if was.announced or not now.announced:
        return
    if was.owner == "person":
        raise Hole("what a person took down was brought back")
    if actor.held:
        raise Hole("brought back against a hold")
    scarce = is_scarce(before, place) or before.tick - was.scarce <= SCARCE_TICKS
    believed = before.tick - actor.well <= BELIEVED_TICKS
    if not was.dead or was.healthy or believed:
        return
    if not scarce:
        raise Hole("a dead service was brought back, and was not needed for the floor")
    if before.tick - was.withdrawn > LATEST_TICKS:
        raise Hole("a dead service was brought back long after its withdrawal")


def check_sending(world: World, run: Run) -> None:
    """Check a run that is about to change an address: it has the lock, and grounds of its own."""
    lines = run.effect.stdin.splitlines()
    if not any(line.startswith("try ") for line in lines):
        return
    if not run.locked:
        raise Hole(f"{run.verb} acts without the lock")
    if run.by_hand or "present yes" not in lines:
        return
    if not run.ample:
        raise Hole(f"{run.verb} withdraws, and too few others announced at each of its steps")
    if world.tick - run.lost - run.confirmed > GROUNDS_TICKS:
        raise Hole(f"{run.verb} withdraws, and the check has not said for long that it is dead")


def check_begun(world: World, run: Run) -> None:
    """Check what a watcher is about to begin: it has evidence, its turn, and no common cause."""
    watcher = world.watchers[watcher_of(world, run)]
    state, wire, tick = run.node.program.request.state, watcher.wires[run.place], world.tick
    if run.of == ASK:
        return
    if wire.since is None:
        raise Hole("a watcher acts, and hears no stream")
    if run.of == LOOK:
        if state is State.CRITICAL:
            raise Hole("a look hands on a failure, which has to wait for its turn")
        return
    acts = [r for r in world.runs if r.host == run.host and r.of == ACT]
    if any(r.place // HOSTS == run.place // HOSTS for r in acts):
        raise Hole("a watcher acts twice at the same time on one VIP")
    if state is State.CRITICAL:
        _check_evidence(watcher, run.place, tick)
        _check_cause(watcher, run.place, tick)
    elif wire.failing is not None:
        raise Hole("a watcher restores what fails")


def _check_evidence(watcher: Watcher, place: int, tick: int) -> None:
    """Check that a stream has proven a failure, and that the watcher has let its time pass."""
    wire = watcher.wires[place]
    if wire.since == watcher.stopped:
        return  # it cannot tell how old the hello was, and so how old what followed is
    since_heard = tick - watcher.lost - wire.last
    if wire.failing is None or wire.failures < SAMPLES or since_heard > HEARD_TICKS:
        raise Hole("a watcher withdraws without evidence")
    if tick - wire.failing < PATIENCE + watcher.rank * RANK_TICKS:
        raise Hole("a watcher withdraws before its time")


def _check_cause(watcher: Watcher, place: int, tick: int) -> None:
    """Check that most of a VIP's endpoints do not fail alike, or have failed for long."""
    wires = {at: watcher.wires[at] for at in pool(place)}
    known = {at: w.failing for at, w in wires.items() if w.failing not in (None, tick)}
    began = [at for at in known.values() if at is not None]
    alike = [at for at in known if fails_of(at) == fails_of(place)]
    if 2 * len(alike) <= HOSTS or max(began) - min(began) > TOGETHER_TICKS:
        return
    if tick - min(began) < watcher.cause_ticks:
        raise Hole("a watcher withdraws one of many that fail alike")


def check_time(world: World) -> None:
    """Check that the floor is back in time, where no fault happened on the way."""
    if world.few is not None and world.tick - world.few > RECOUNT_TICKS:
        raise Hole("too few announce for longer than a recount takes")


def check_floor(world: World, when: str) -> None:
    """Check that no withdrawal stands that was just made and has left too few."""
    for place, member in enumerate(world.members):
        young = world.tick - member.withdrawn < TAKE_BACK_TICKS
        if not (young and member.on and member.owner == "suite" and not member.hold):
            continue
        announcing = others(world, place)
        if not member.announced and lacks(world, place):
            raise Hole(f"{when}: {announcing} announce, and {_name(place)} was just withdrawn")


def _name(place: int) -> str:
    return NAMES[place % HOSTS] + " of the twin" * (place // HOSTS)


def check_dead(world: World) -> None:
    """Check that nothing is announced that is broken, not needed for the floor, and not held."""
    for place, member in enumerate(world.members):
        broken = member.on and member.announced and not member.healthy
        # An endpoint that cannot be asked may count for nothing, and nothing can be done there.
        if member.deaf or is_damped(member, world.clock):
            continue
        needed = lacks(world, place, lambda one: one.announces and not one.deaf)
        if broken and not needed and not protects(member, world.clock):
            name = _name(place)
            raise Hole(f"{name} is broken, not needed for the floor, and stays announced")


def _check_routes(world: World) -> None:
    for place, member in enumerate(world.members):
        if member.on and not member.deaf and member.drains is not None:
            raise Hole(f"{_name(place)} still answers by the route of a withdrawal")


def check_converged(world: World) -> None:
    """Check that everything is where it belongs, and every note too."""
    check_dead(world)
    _check_routes(world)
    if world.damage:
        raise Hole("a run took the withdrawal of a sibling for damage")
    for place, member in enumerate(world.members):
        name, hold = _name(place), order(member.hold)
        if member.ordered == "held" and hold is None:
            raise Hole(f"the hold of {name} was lost")
        if member.ordered == "released" and hold is not None:
            raise Hole(f"{name} is held, but a person was told that it is not")
        if not member.on or member.deaf:
            continue
        if member.announced and is_latched(member):
            raise Hole(f"{name} is announced, and its latch was left behind")
        if member.announced or member.owner != "suite":
            continue
        if not is_latched(member):
            raise Hole(f"{name} is withdrawn by the suite, and its latch was lost")
        used_up = restores(member, world.clock) >= MAX_RESTORES
        if member.healthy and not hold and not used_up:
            raise Hole(f"{name} is healthy, withdrawn by the suite, and stays so")
