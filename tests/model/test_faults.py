"""Commands come late, runs are stopped, persons interfere, VIPs share a host, peers are silent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model import deeds
from tests.model.judge import Judge
from tests.model.running import How
from tests.model.scenes import (
    BROKEN,
    FAILED,
    FAILING,
    HEALTHY,
    HOLD,
    LEFT,
    LOOKS,
    OFF,
    OUT,
    OUT_BROKEN,
    RECOVERED,
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
)
from tests.model.search import Faults, Limits, Size, Stops, explore
from tests.model.world import Member, World

Calls = tuple[tuple[int, Called], ...]


def search(world: World, size: Size, limits: Limits, **changes: Any) -> None:
    """Judge every end of a search."""
    judge = Judge(size, **changes)
    for end in explore(world, size, limits):
        judge.judge(world, end)


@pytest.mark.parametrize(
    ("members", "called"),
    [
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED),)),
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED), (0, FAILING))),
        ((BROKEN, BROKEN, OFF), ((0, FAILED), (1, FAILED))),
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED), (0, STALE_OK))),
        ((OUT, HEALTHY, HEALTHY), ((0, RECOVERED), (0, STALE_OK))),
        ((LEFT, HEALTHY, HEALTHY), ((0, STALE_OK), (0, FAILED))),
        ((YOUNG_BROKEN, YOUNG_BROKEN, OFF), ((0, LOOKS), (1, LOOKS))),
    ],
)
def test_a_command_comes_late_or_never_or_is_not_heard_of(
    size: Size, ages: tuple[int, ...], members: tuple[Member, ...], called: Calls
) -> None:
    world = race(World(members), *called)
    search(world, size, Limits(Faults(late=1), ages=ages))


@pytest.mark.parametrize(
    ("members", "called", "late"),
    [
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED),), How.HANGING),
        ((OUT, HEALTHY, HEALTHY), ((0, RECOVERED),), How.HANGING),
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED),), How.SLOWLY),
        ((OUT, HEALTHY, HEALTHY), ((0, RECOVERED),), How.SLOWLY),
        ((BROKEN, HEALTHY, HEALTHY), ((0, WITHDRAW),), How.SLOWLY),
    ],
)
def test_something_happens_while_a_command_is_under_way(
    size: Size, ages: tuple[int, ...], members: tuple[Member, ...], called: Calls, late: How
) -> None:
    """A service dies or recovers, a host boots or loses its power, a person does something."""
    world = race(World(members), *called)
    search(world, size, Limits(Faults(late=1, moves=1), moves(0), late=(late,), ages=ages))


@pytest.mark.parametrize(
    ("members", "called"),
    [
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED),)),
        ((BROKEN, BROKEN, OFF), ((0, FAILED), (1, FAILED))),
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED), (0, FAILING))),
        ((OUT, HEALTHY, HEALTHY), ((0, RECOVERED), (0, STALE_OK))),
        ((LEFT, HEALTHY, HEALTHY), ((0, STALE_OK), (0, FAILED))),
    ],
)
def test_a_run_is_stopped_between_two_of_its_steps(
    size: Size, ages: tuple[int, ...], stops: Stops, members: tuple[Member, ...], called: Calls
) -> None:
    """Its clock goes on, or stands still as in a virtual machine that is paused."""
    search(race(World(members), *called), size, Limits(Faults(stops=1), stops=stops, ages=ages))


@pytest.mark.parametrize(
    ("member", "called"),
    [(BROKEN, FAILED), (OUT, RECOVERED), (BROKEN, WITHDRAW), (OUT, RESTORE)],
)
def test_something_happens_while_a_run_is_stopped(
    size: Size, ages: tuple[int, ...], times: int, member: Member, called: Called
) -> None:
    world = race(World((member, HEALTHY, HEALTHY)), (0, called))
    long = ((30, True), (20, False)) if times > 1 else ((30, True),)
    limits = Limits(Faults(stops=1, moves=1), moves(0), long)
    search(world, size, limits)


HELD = deeds.place_hold(World(), 0).members[0]
HELD_OUT = deeds.place_hold(World((OUT, HEALTHY, HEALTHY)), 0).members[0]


@pytest.mark.parametrize(
    ("members", "called"),
    [
        ((BROKEN, HEALTHY, HEALTHY), ((0, FAILED), (0, HOLD))),
        ((BROKEN, BROKEN, OFF), ((0, FAILED), (1, FAILED), (0, HOLD))),
        ((OUT, HEALTHY, HEALTHY), ((0, RECOVERED), (0, HOLD))),
        ((LEFT, HEALTHY, HEALTHY), ((0, STALE_OK), (0, HOLD))),
        ((HELD._replace(healthy=False), HEALTHY, HEALTHY), ((0, FAILED), (0, RELEASE))),
        ((HELD_OUT, HEALTHY, HEALTHY), ((0, RECOVERED), (0, RELEASE))),
        ((HEALTHY, HEALTHY, HEALTHY), ((0, WITHDRAW), (0, HOLD))),
        ((HEALTHY, OUT, OFF), ((0, WITHDRAW), (0, HOLD))),
        ((HELD, OUT, HEALTHY), ((0, WITHDRAW), (0, RELEASE))),
        ((HEALTHY, BROKEN, OFF), ((0, WITHDRAW), (1, FAILED))),
        ((BROKEN, HEALTHY, HEALTHY), ((0, WITHDRAW), (0, FAILED))),
        ((OUT, HEALTHY, HEALTHY), ((0, RESTORE), (0, RECOVERED))),
        ((HEALTHY, BROKEN, OFF), ((0, WITHDRAW), (1, FAILED), (0, HOLD))),
        ((HELD_OUT, HEALTHY, HEALTHY), ((0, RESTORE), (0, HOLD))),
        ((HEALTHY, HEALTHY, HEALTHY), ((0, HOLD), (0, RELEASE))),
    ],
)
def test_a_person_holds_or_releases_in_the_middle_of_a_run(
    size: Size, ages: tuple[int, ...], members: tuple[Member, ...], called: Calls
) -> None:
    """The person calls the verb; the command of it may come late too."""
    world = race(World(members), *called)
    late = 1 if len(called) == 2 else 0
    search(world, size, Limits(Faults(late=late, kills=1 - late), ages=ages))


TWO_VIPS = [
    (
        (BROKEN, HEALTHY, HEALTHY, BROKEN, HEALTHY, HEALTHY),
        ((0, FAILED), (3, FAILED)),
    ),
    (
        (OUT, HEALTHY, HEALTHY, BROKEN, HEALTHY, HEALTHY),
        ((0, RECOVERED), (3, FAILED)),
    ),
    (
        (BROKEN, OUT, HEALTHY, OUT, BROKEN, HEALTHY),
        ((0, FAILED), (3, RECOVERED)),
    ),
]


@pytest.mark.parametrize(("members", "called"), TWO_VIPS)
@pytest.mark.parametrize("activator", ["ip", "ifupdown"])
def test_two_vips_of_one_host_fail_together(
    size: Size, ages: tuple[int, ...], members: tuple[Member, ...], called: Calls, activator: str
) -> None:
    """The changes of the host are apart, and the change of the sibling is no damage."""
    world = race(World(members), *called, activator=activator)
    late = (How.HANGING, How.SLOWLY, How.UNHEARD)
    search(world, size, Limits(Faults(late=1), late=late, ages=ages), activator=activator)


DEAF = HEALTHY._replace(deaf=True)


@pytest.mark.parametrize(
    ("members", "called"),
    [
        ((BROKEN, HEALTHY, DEAF), ((0, FAILED),)),
        ((BROKEN, DEAF, DEAF), ((0, FAILED),)),
        ((BROKEN, BROKEN, DEAF), ((0, FAILED), (1, FAILED))),
        ((YOUNG_BROKEN, BROKEN, DEAF), ((0, LOOKS), (1, FAILED))),
        ((OUT_BROKEN, DEAF, OFF), ((0, LOOKS),)),
    ],
)
def test_peers_that_cannot_be_asked_are_unknown(
    size: Size, ages: tuple[int, ...], members: tuple[Member, ...], called: Calls
) -> None:
    """A peer that is unknown does not count for a withdrawal, and is no reason of a restore."""
    world = race(World(members), *called, count_by="peers")
    possible = (*deaf(1), *deaf(2), ("flip 1", flip(0)))
    search(world, size, Limits(Faults(moves=1), possible), count_by="peers")


@pytest.mark.parametrize(
    ("members", "called"),
    [
        ((BROKEN, OFF, OFF), ((0, FAILED),)),
        ((BROKEN, BROKEN, OFF), ((0, FAILED), (1, FAILED))),
        ((YOUNG_BROKEN, OUT_BROKEN, OFF), ((0, LOOKS),)),
        ((YOUNG_BROKEN, YOUNG_BROKEN, OFF), ((0, LOOKS), (1, STALE_OK))),
    ],
)
def test_a_stranger_does_not_count_for_the_floor(
    size: Size, ages: tuple[int, ...], members: tuple[Member, ...], called: Calls
) -> None:
    world = race(World(members, stranger=True), *called)
    search(world, size, Limits(Faults(kills=1)))
