"""Whatever the order of runs and faults, somebody announces, and `enforce` mends the rest.

The operation, the decision and the notes are the real ones; the endpoints, their helper, OSPF, the
engines and time are modelled. README.rst says how.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anycast_handlers.decision.facts import State

from tests.model import deeds, running
from tests.model import world as model
from tests.model.invariants import check_converged
from tests.model.judge import Judge, finish, skip
from tests.model.scenes import (
    BROKEN,
    BY_PERSON,
    CRITICAL,
    FAILED,
    FAILING,
    HEALTHY,
    JUST_OFF,
    LEFT,
    LEFT_BROKEN,
    LOOKS,
    OFF,
    OUT,
    OUT_BROKEN,
    RECOVERED,
    RESTORE,
    SPLIT,
    STALE_OK,
    WITHDRAW,
    YOUNG_BROKEN,
    Called,
    flip,
    moves,
    race,
)
from tests.model.search import Faults, Limits, Size, explore
from tests.model.settling import settle
from tests.model.world import Member, World

TWO_FAIL = [
    (BROKEN, BROKEN, third) for third in (HEALTHY, OUT_BROKEN, OUT, OFF, JUST_OFF, BY_PERSON)
]


def test_two_hosts_withdraw_two_endpoints_and_either_may_be_killed(size: Size) -> None:
    judge = Judge(size)
    for members in TWO_FAIL:
        world = race(World(members), (0, FAILED), (1, FAILED))
        limits = Limits(Faults(kills=2 if HEALTHY in members else 1))
        for end in explore(world, size, limits):
            judge.judge(world, end)
    assert size.states > 10_000


def test_two_hosts_withdraw_both_endpoints_of_a_site(size: Size) -> None:
    """The floor of the VIP would permit both, and that of the site permits one."""
    judge = Judge(size, **SPLIT)
    for members in ((BROKEN, BROKEN, HEALTHY), (BROKEN, OUT_BROKEN, HEALTHY)):
        for calls in (((0, FAILED), (1, FAILED)), ((0, FAILED), (0, FAILED))):
            world = race(World(members, split=True), *calls, **SPLIT)
            for end in explore(world, size, Limits(Faults(kills=1))):
                judge.judge(world, end)


OTHERS = [(HEALTHY, HEALTHY), (BROKEN, OUT_BROKEN), (OUT_BROKEN, OFF)]
SAME = [HEALTHY, BROKEN, OUT, OUT_BROKEN, YOUNG_BROKEN, LEFT, LEFT_BROKEN, BY_PERSON]
BELIEFS = [
    (FAILED, FAILED),
    (FAILED, RECOVERED),
    (FAILED, STALE_OK),
    (RECOVERED, STALE_OK),
    (FAILING, LOOKS),
]


def test_two_hosts_act_on_the_same_endpoint_and_disagree(size: Size) -> None:
    """The engines' states may be stale or wrong, an event may come twice, a run may be killed."""
    judge = Judge(size)
    for others in OTHERS:
        for member in SAME:
            for first, second in BELIEFS:
                world = race(World((member, *others)), (0, first), (0, second))
                for end in explore(world, size, Limits(Faults(kills=1))):
                    judge.judge(world, end)
    assert size.states > 20_000


@pytest.mark.parametrize(
    ("members", "first", "second", "what"),
    [
        ((BROKEN, BROKEN, OUT), (0, FAILED), (1, FAILED), ("flip", "hold", "boot")),
        ((OUT_BROKEN, BROKEN, HEALTHY), (0, LOOKS), (1, FAILED), ("off", "hold", "if")),
        ((OUT, BROKEN, OUT_BROKEN), (0, RECOVERED), (1, FAILED), ("flip", "hold", "off")),
        ((OUT, HEALTHY, HEALTHY), (0, RECOVERED), (0, FAILED), ("",)),
        ((BROKEN, HEALTHY, HEALTHY), (0, FAILED), (0, FAILING), ("if", "boot")),
    ],
)
def test_something_happens_in_the_middle_of_it(
    size: Size,
    ages: tuple[int, ...],
    members: tuple[Member, ...],
    first: tuple[int, Called],
    second: tuple[int, Called],
    what: tuple[str, ...],
) -> None:
    """A service dies or recovers, a host loses its power or boots, a person does something."""
    judge = Judge(size)
    world = race(World(members), first, second)
    possible = moves(*sorted({first[0], second[0]}))
    chosen = tuple(move for move in possible if move[0].startswith(what))
    limits = Limits(Faults(moves=1), chosen, ages=ages)
    for end in explore(world, size, limits):
        judge.judge(world, end)


@pytest.mark.parametrize("member", [HEALTHY, BROKEN, LEFT])
@pytest.mark.parametrize("second", [RESTORE, FAILED, LOOKS, WITHDRAW])
def test_an_endpoint_drains_beside_another_run(size: Size, member: Member, second: Called) -> None:
    """A person withdraws it, and either run may be killed; no route is there in the end."""
    judge = Judge(size)
    world = race(World((member, HEALTHY, HEALTHY)), (0, WITHDRAW), (0, second), drain=4)
    for end in explore(world, size, Limits(Faults(kills=1))):
        judge.judge(world, end)


@pytest.mark.parametrize("second", [RESTORE, RECOVERED, LOOKS, WITHDRAW, FAILING])
def test_a_slow_endpoint_drains_beside_another_run(size: Size, second: Called) -> None:
    """The automation withdraws it, and either run may be killed; no route is there in the end."""
    judge, drained = Judge(size), 0
    world = race(World((BROKEN, HEALTHY, HEALTHY), slow=True), (0, FAILED), (0, second), drain=4)
    for end in explore(world, size, Limits(Faults(kills=1))):
        drained += end.world.members[0].drains is not None
        judge.judge(world, end)
    # Where a run was killed in the middle of it, there was something to be taken away.
    assert drained


def between_runs(world: World) -> Iterator[World]:
    """List what may happen while no run is under way."""
    for place, member in enumerate(world.members):
        yield flip(place)(world)
        yield deeds.power(world, place, on=not member.on)
        if member.on:
            yield deeds.by_person(world, place, up=not member.announced)
            if member.hold:
                yield deeds.remove_hold(world, place)
            yield deeds.place_hold(world, place)
            yield deeds.place_hold(world, place, seconds=30)
    yield skip(world, 70)
    yield skip(world, 3700)


def runs(world: World) -> Iterator[World]:
    """Start each possible run: of an engine that is right or wrong, and of a person."""
    for place in range(len(world.members)):
        for verb, state in (FAILED, RECOVERED, FAILING, STALE_OK, LOOKS):
            yield running.start(world, 0, verb, place, state)
        for verb in ("withdraw", "restore", "hold", "release"):
            yield running.start(world, 0, verb, place, None)


def test_whatever_comes_one_after_the_other_with_a_run_killed_at_each_step(
    size: Size, times: int
) -> None:
    """Breadth first from a healthy fleet, in every order, until the bound is reached."""
    judge = Judge(size)
    start = settle(World())
    known, queue = {start}, [start]
    for world in queue:
        if size.states > 40_000 * times:
            break
        following = [settle(after) for after in between_runs(world)]
        for begun in runs(world):
            if not begun.runs:
                continue
            for end in explore(begun, size, Limits(Faults(kills=1))):
                judge.judge(begun, end)
                following.append(end.world)
        queue += [after for after in dict.fromkeys(following) if after not in known]
        known.update(following)
    assert len(known) > 400


def alone(world: World, verb: str, place: int, state: State | None) -> World:
    """Let one run come to its end."""
    return finish(running.start(world, 0, verb, place, state))


def test_a_failure_is_withdrawn_and_its_recovery_restored() -> None:
    world = alone(World((BROKEN, HEALTHY, HEALTHY)), "event", 0, CRITICAL)
    assert [member.announced for member in world.members] == [False, True, True]
    world = flip(0)(skip(world, 70))
    world = alone(world, "enforce", 0, State.OK)
    assert all(member.announced for member in world.members)
    check_converged(world)


def test_the_last_one_that_announces_is_not_withdrawn() -> None:
    before = World((BROKEN, OUT_BROKEN, OFF))
    after = alone(before, "event", 0, CRITICAL).members
    assert [m.announced for m in after] == [m.announced for m in before.members]
    assert after[0].latch is None


@pytest.mark.parametrize("state", [State.OK, State.WARNING])
def test_enforce_takes_back_what_a_killed_run_did_not(state: State) -> None:
    """The endpoint comes back, well or not, because too few others announce."""
    before = World((YOUNG_BROKEN, YOUNG_BROKEN, OFF))
    world = alone(before, "enforce", 0, state)
    assert [member.announced for member in world.members] == [True, False, True]
    assert not model.is_latched(world.members[0])


def test_enforce_takes_nothing_back_from_a_person() -> None:
    before = deeds.place_hold(World((YOUNG_BROKEN, BY_PERSON, OFF)), 0)
    after = alone(alone(before, "enforce", 0, State.WARNING), "enforce", 1, State.OK)
    assert not after.members[0].announced
    assert not after.members[1].announced
