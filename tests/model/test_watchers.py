"""Watchers act beside one another, beside engines and persons, whatever happens to them.

The evidence and the responses are the watcher's own; streams, threads and time are modelled.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.model import deeds, watching
from tests.model.invariants import check_floor
from tests.model.judge import Judge, finish
from tests.model.running import How
from tests.model.scenes import (
    BROKEN,
    BY_PERSON,
    FAILED,
    HEALTHY,
    HOLD,
    JUST_OFF,
    LEFT,
    LEFT_BROKEN,
    OFF,
    OUT,
    OUT_BROKEN,
    RELEASE,
    RESTORE,
    STALE_OK,
    WITHDRAW,
    YOUNG_BROKEN,
    Called,
    deaf,
    flip,
    moves,
    race,
    streams,
)
from tests.model.search import Faults, Limits, Moves, Size
from tests.model.world import Member, World

Members = tuple[Member, ...]
Calls = tuple[tuple[int, Called], ...]
# Longer than two withdrawals of a VIP one after the other.
TICKS = 16
KINDS = [HEALTHY, BROKEN, OUT, OUT_BROKEN, YOUNG_BROKEN, LEFT, LEFT_BROKEN, BY_PERSON]


def watch(members: Members, *ranks: int, **changes: Any) -> World:
    """Let watchers of these ranks begin, each on a monitoring host of its own."""
    world = World(members)
    for host, rank in enumerate(ranks):
        world = watching.start(world, host, TICKS, rank=rank, **changes)
    return world


@pytest.mark.parametrize("third", [HEALTHY, OUT_BROKEN, OFF, JUST_OFF, BY_PERSON])
def test_two_watchers_and_an_engine_act_at_once_and_any_may_be_killed(
    size: Size, ages: tuple[int, ...], times: int, third: Member
) -> None:
    """Two endpoints fail at the same moment; a watcher that was killed is started anew."""
    judge = Judge(size)
    beside: tuple[Calls, ...] = ((), ((0, FAILED),), ((1, FAILED),))
    for ranks in ((0, 0), (0, 1)):
        for called in beside if times > 1 or third is HEALTHY else beside[:1]:
            world = race(watch((BROKEN, BROKEN, third), *ranks), *called)
            judge.judge_all(world, Limits(Faults(kills=1), ages=ages))


@pytest.mark.parametrize("member", KINDS)
def test_a_watcher_alone_brings_all_to_where_it_belongs(
    size: Size, times: int, member: Member
) -> None:
    """It looks again and again, so that neither an engine nor `enforce` is needed."""
    judge = Judge(size, watches=True)
    possible = [(HEALTHY, HEALTHY), (BROKEN, OUT_BROKEN), (OUT_BROKEN, OFF), (BROKEN, OUT)]
    for others in possible if times > 1 else possible[:2]:
        world = watching.start(World((member, *others)), 0, 30, pace=9.0)
        judge.judge_all(world, Limits(Faults(kills=1)))


@pytest.mark.parametrize(
    ("members", "ranks"),
    [
        ((BROKEN, HEALTHY, HEALTHY), (0, 0)),
        ((BROKEN, BROKEN, OFF), (0, 0)),
        ((OUT, HEALTHY, HEALTHY), (0,)),
        ((OUT, BROKEN, OUT_BROKEN), (0,)),
    ],
)
def test_a_command_of_a_watcher_comes_late_or_never(
    size: Size, ages: tuple[int, ...], members: Members, ranks: tuple[int, ...]
) -> None:
    limits = Limits(Faults(late=1), ages=ages)
    Judge(size).judge_all(watch(members, *ranks), limits)


@pytest.mark.parametrize("member", [HEALTHY, BROKEN, OUT, LEFT_BROKEN])
def test_something_happens_in_the_middle_of_what_a_watcher_does(
    size: Size, ages: tuple[int, ...], member: Member
) -> None:
    """It acts on what it has asked ahead, and that may be so no longer."""
    limits = Limits(Faults(moves=1), moves(0), ages=ages)
    Judge(size).judge_all(watch((member, HEALTHY, HEALTHY), 0), limits)


@pytest.mark.parametrize("member", [BROKEN, OUT])
def test_something_happens_in_the_middle_of_what_two_watchers_do(
    size: Size, ages: tuple[int, ...], times: int, member: Member
) -> None:
    chosen = moves(0) if times > 1 else tuple(m for m in moves(0) if m[0].startswith("hold"))
    limits = Limits(Faults(moves=1), chosen, ages=ages)
    Judge(size).judge_all(watch((member, BROKEN, HEALTHY), 0, 0), limits)


@pytest.mark.parametrize("member", [BROKEN, OUT, YOUNG_BROKEN])
def test_a_stream_ends_or_comes_late_while_its_service_fails_or_recovers(
    size: Size, ages: tuple[int, ...], times: int, member: Member
) -> None:
    """What is not certain to be about this moment withdraws nobody and restores nobody."""
    happens: Moves = (*streams(0), ("flip 1", flip(0)))
    limits = Limits(Faults(moves=2 if times > 1 or member is BROKEN else 1), happens, ages=ages)
    Judge(size).judge_all(watch((member, HEALTHY, HEALTHY), 0), limits)


@pytest.mark.parametrize(
    ("members", "ranks"),
    [
        ((BROKEN, HEALTHY, HEALTHY), (0,)),
        ((BROKEN, BROKEN, HEALTHY), (0, 0)),
        ((OUT, HEALTHY, HEALTHY), (0,)),
    ],
)
def test_a_watcher_is_stopped(
    size: Size, ages: tuple[int, ...], times: int, members: Members, ranks: tuple[int, ...]
) -> None:
    """What its streams say meanwhile is heard later; its clock may stand still as long."""
    few = ((4, False), (20, True))
    limits = Limits(Faults(stops=1), ages=ages) if times > 1 else Limits(Faults(stops=1), stops=few)
    Judge(size).judge_all(watch(members, *ranks), limits)


@pytest.mark.parametrize("called", [HOLD, RELEASE, WITHDRAW, RESTORE])
@pytest.mark.parametrize("member", [BROKEN, OUT, deeds.place_hold(World(), 0).members[0]])
def test_a_person_gives_an_order_in_the_middle_of_it(
    size: Size, ages: tuple[int, ...], member: Member, called: Called
) -> None:
    """On the same monitoring host as the watcher, or on another one."""
    judge = Judge(size)
    for first in ((), ((1, STALE_OK),)):
        world = race(watch((member, HEALTHY, HEALTHY), 0), *first, (0, called))
        judge.judge_all(world, Limits(Faults(late=1), ages=ages))


@pytest.mark.parametrize("member", [BROKEN, OUT])
def test_two_vips_of_one_host_are_watched(
    size: Size, ages: tuple[int, ...], times: int, member: Member
) -> None:
    """Each VIP has its own turn, and its changes of the host are apart."""
    members = (member, HEALTHY, HEALTHY, BROKEN, HEALTHY, HEALTHY)
    late = tuple(How) if times > 1 else (How.SLOWLY,)
    limits = Limits(Faults(late=1), late=late, ages=ages)
    Judge(size).judge_all(watch(members, 0), limits)


@pytest.mark.parametrize(
    "members", [(BROKEN, HEALTHY, HEALTHY), (BROKEN, HEALTHY, HEALTHY._replace(deaf=True))]
)
def test_peers_that_cannot_be_asked_ahead_are_unknown(
    size: Size, ages: tuple[int, ...], members: Members
) -> None:
    limits = Limits(Faults(moves=1), (*deaf(1), *deaf(2), ("flip 1", flip(0))), ages=ages)
    Judge(size, count_by="peers").judge_all(watch(members, 0, count_by="peers"), limits)


@pytest.mark.parametrize("members", [(BROKEN, OFF, OFF), (BROKEN, BROKEN, OFF)])
def test_a_stranger_does_not_count_for_a_watcher(
    size: Size, ages: tuple[int, ...], members: Members
) -> None:
    world = watch(members, 0, 0)._replace(stranger=True)
    Judge(size).judge_all(world, Limits(Faults(kills=1), ages=ages))


@pytest.mark.parametrize(("patience", "left"), [(60.0, 3), (3.0, 2)])
def test_most_endpoints_that_fail_alike_are_left_alone_for_some_time(
    size: Size, patience: float, left: int
) -> None:
    """Two of the services fail in the same way; later, spacing and floor are what counts."""
    world = watching.start(World((BROKEN, HEALTHY, BROKEN)), 0, 14, cause_patience=patience)
    Judge(size).judge_all(world)
    assert sum(member.announced for member in finish(world).members) == left


def test_a_watcher_takes_back_what_turns_out_to_be_too_much() -> None:
    """The routing learns of a host without power only after the recount, and nobody else looks."""
    world = watching.start(World((BROKEN, BROKEN, JUST_OFF)), 0, 56, pace=60.0)
    after = finish(world)
    assert any(member.announces for member in after.members)
    check_floor(after, "after the watcher has looked again")


def test_a_watcher_that_takes_its_turn_at_any_time(size: Size, times: int) -> None:
    """With --all for more: between two steps of another run, and answered whenever that may be."""
    possible = [(BROKEN, HEALTHY, HEALTHY), (OUT, HEALTHY, HEALTHY), (BROKEN, OUT_BROKEN, OFF)]
    for members in possible if times > 1 else possible[:1]:
        world = race(watch(members, 0), (0, FAILED if times > 1 else STALE_OK))
        Judge(size).judge_all(world, Limits(Faults(kills=1), eager=False))
