"""Whatever the order of runs and faults, somebody announces, and `enforce` mends the rest.

The operation, the decision and the notes are the real ones; the endpoints, OSPF, the engines and
time are modelled (world.py). stepping.py runs the operation step by step, and search.py tries every
order of the steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.endpoint.latch import Latch
from anycast_handlers.routing.follow import Follower, Recount

from tests.model import world as model
from tests.model.search import (
    End,
    Hole,
    Moves,
    Size,
    check_announced,
    check_converged,
    check_step,
    converge,
    enforce,
    explore,
    finish,
    settle,
    skip,
)
from tests.model.stepping import Fault, Node
from tests.model.world import EPOCH, UPTIME, Member, World

OK, WARNING, CRITICAL = State.OK, State.WARNING, State.CRITICAL
Engine = tuple[str, State]
FAILED: Engine = ("event", CRITICAL)
RECOVERED: Engine = ("event", OK)
STALE_OK: Engine = ("enforce", OK)
LOOKS: Engine = ("enforce", WARNING)
LATCH = Latch(UPTIME - 80.0, "boot-0", "x", "x", (EPOCH - 4000,)).render()

HEALTHY, BROKEN, OFF = Member(), Member(healthy=False), Member(on=False, flooded=False)
# The endpoint has lost its power, and its neighbors have not noticed yet.
JUST_OFF = Member(on=False, due=20)
OUT = Member(announced=False, flooded=False, latch=LATCH, owner="suite")
OUT_BROKEN = OUT._replace(healthy=False)
# A run was killed between the latch and ifdown, or a person has brought the address up again.
LEFT, LEFT_BROKEN = Member(latch=LATCH), Member(latch=LATCH, healthy=False)
BY_PERSON = Member(announced=False, flooded=False, owner="person")


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """Give the factor by which --all makes a search longer that has no end of its own."""
    return 10 if request.config.getoption("--all") else 1


@pytest.fixture
def size(capsys: pytest.CaptureFixture[str]) -> Iterator[Size]:
    size, before = Size(), Node.made
    yield size
    with capsys.disabled():
        print(f"\n{size}, {Node.made - before} different steps of the operation")


def race(world: World, first: tuple[int, Engine], second: tuple[int, Engine]) -> World:
    """Start two runs, one on each monitoring host."""
    for host, (place, (verb, state)) in enumerate((first, second)):
        world = model.start(world, host, verb, place, state)
    return world


class Judge:
    """Checks each end once: somebody announces, and `enforce` brings all to where it belongs."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._converged: set[World] = set()

    def judge(self, begun: World, end: End) -> None:
        try:
            members = begun.members
            # A recount sees what OSPF has seen, which is in time for all but a loss of power.
            blind = any(member.flooded and not member.on for member in members)
            announced = any(member.on and member.announced for member in members)
            if announced and not (end.faulty or blind):
                check_announced(end.world, "after the recount")
            if end.world not in self._converged:
                check_announced(enforce(end.world, (0,), self._size), "after an enforce")
                converge(end.world, self._size)
                self._converged.add(end.world)
        except Hole as hole:
            raise Hole(f"{hole}\n{end.way()}\n{end.world.members}") from hole


TWO_FAIL = [
    (BROKEN, BROKEN, third) for third in (HEALTHY, OUT_BROKEN, OUT, OFF, JUST_OFF, BY_PERSON)
]


def test_two_hosts_withdraw_two_endpoints_and_either_may_be_killed(size: Size) -> None:
    judge = Judge(size)
    for members in TWO_FAIL:
        world = race(World(members), (0, FAILED), (1, FAILED))
        for end in explore(world, size, kills=2 if HEALTHY in members else 1):
            judge.judge(world, end)
    assert size.states > 20_000


OTHERS = [(HEALTHY, HEALTHY), (BROKEN, OUT_BROKEN), (OUT_BROKEN, OFF)]
SAME = [HEALTHY, BROKEN, OUT, OUT_BROKEN, LEFT, LEFT_BROKEN, BY_PERSON]
BELIEFS = [
    (FAILED, FAILED),
    (FAILED, RECOVERED),
    (FAILED, STALE_OK),
    (RECOVERED, STALE_OK),
    (("enforce", CRITICAL), LOOKS),
]


def test_two_hosts_act_on_the_same_endpoint_and_disagree(size: Size) -> None:
    """The engines' states may be stale or wrong, an event may come twice, a run may be killed."""
    judge = Judge(size)
    for others in OTHERS:
        for member in SAME:
            for first, second in BELIEFS:
                world = race(World((member, *others)), (0, first), (0, second))
                for end in explore(world, size, kills=1):
                    judge.judge(world, end)
    assert size.states > 50_000


def flip(place: int) -> Callable[[World], World]:
    return lambda world: world.member(place, healthy=not world.members[place].healthy)


def power_off(place: int) -> Callable[[World], World]:
    return lambda world: model.power(world, place, on=False)


def placed(place: int) -> Callable[[World], World]:
    return lambda world: world if world.members[place].hold else model.hold(world, place)


@pytest.mark.parametrize(
    ("members", "first", "second", "what"),
    [
        ((BROKEN, BROKEN, OUT), (0, FAILED), (1, FAILED), ("flip ns1",)),
        ((OUT_BROKEN, BROKEN, HEALTHY), (0, LOOKS), (1, FAILED), ("off ns3", "hold ns2")),
        ((OUT, BROKEN, OUT_BROKEN), (0, RECOVERED), (1, FAILED), ("flip", "hold", "off")),
        ((OUT, HEALTHY, HEALTHY), (0, RECOVERED), (0, FAILED), ("flip", "hold", "off")),
    ],
)
def test_something_happens_in_the_middle_of_it(
    size: Size,
    members: tuple[Member, ...],
    first: tuple[int, Engine],
    second: tuple[int, Engine],
    what: tuple[str, ...],
) -> None:
    """A service dies or recovers, a host loses its power, or a person places a hold."""
    places = sorted({first[0], second[0]})
    moves: Moves = (
        *((f"flip ns{place + 1}", flip(place)) for place in places),
        *((f"hold ns{place + 1}", placed(place)) for place in places),
        *((f"off ns{place + 1}", power_off(place)) for place in range(3)),
    )
    chosen = tuple(move for move in moves if move[0].startswith(what))
    judge = Judge(size)
    world = race(World(members), first, second)
    for end in explore(world, size, moves=1, possible=chosen):
        judge.judge(world, end)


def between_runs(world: World) -> Iterator[World]:
    """List what may happen while no run is under way."""
    for place, member in enumerate(world.members):
        yield flip(place)(world)
        yield model.power(world, place, on=not member.on)
        if member.on:
            yield (
                model.ifdown(world, place, "person")
                if member.announced
                else model.ifup(world, place)
            )
            yield model.release(world, place) if member.hold else model.hold(world, place)
            yield model.hold(world, place, seconds=30)
    yield skip(world, 70)
    yield skip(world, 3700)


def runs(world: World) -> Iterator[World]:
    """Start each possible run: of an engine that is right or wrong, and of a person."""
    for place in range(len(world.members)):
        for verb, state in (FAILED, RECOVERED, ("enforce", CRITICAL), STALE_OK, LOOKS):
            yield model.start(world, 0, verb, place, state)
        for verb in ("withdraw", "restore"):
            yield model.start(world, 0, verb, place, None)


def test_whatever_comes_one_after_the_other_with_a_run_killed_at_each_step(
    size: Size, times: int
) -> None:
    """Breadth first from a healthy fleet, in every order, until the bound is reached."""
    judge = Judge(size)
    start = settle(World())
    known, queue = {start}, [start]
    for world in queue:
        if size.states > 50_000 * times:
            break
        following = [settle(after) for after in between_runs(world)]
        for begun in runs(world):
            if not begun.runs:
                continue
            for end in explore(begun, size, kills=1):
                judge.judge(begun, end)
                following.append(end.world)
        queue += [after for after in dict.fromkeys(following) if after not in known]
        known.update(following)
    assert len(known) > 400


class Walk:
    """A long random walk: up to four runs at once, and every kind of fault, as it comes."""

    def __init__(self, seed: int, size: Size) -> None:
        self._dice = random.Random(seed)
        self._size = size
        self._vip = self._dice.choice((model.VIP, model.IFUPDOWN))
        self.world = World()

    def walk(self, steps: int) -> None:
        for _ in range(steps):
            self._size.transitions += 1
            chance = self._dice.random()
            if self.world.runs and chance < 0.78:
                self._proceed()
            elif chance < 0.9 and len(self.world.runs) < 4:
                self._begin()
            elif chance < 0.97:
                self._happen()
            else:
                self.world = skip(self.world, self._dice.choice((5, 70, 4000)))
        members = (member._replace(vtysh=True) for member in self.world.members)
        self.world = skip(finish(self.world._replace(members=tuple(members))), 60)

    def _proceed(self) -> None:
        world, dice = self.world, self._dice
        number = dice.randrange(len(world.runs))
        lagging = [place for place, member in enumerate(world.members) if member.lags]
        chance = dice.random()
        if chance < 0.02:
            self.world = model.end(world, number, killed=True)
        elif chance < 0.12 and lagging:
            self.world = model.flood(world, dice.choice(lagging))
        elif model.enabled(world, number) and chance < 0.9:
            lost = Fault.UNKNOWN if chance < 0.14 and world.runs[number].effect.argv else None
            self.world = model.step(world, number, lost)
            check_step(world, self.world, number)
        else:
            self.world = model.pass_time(world)

    def _begin(self) -> None:
        dice = self._dice
        place, host = dice.randrange(3), dice.randrange(2)
        state = model.true_state(self.world.members[place])
        if dice.random() < 0.3:
            state = dice.choice((OK, WARNING, CRITICAL))
        verb = dice.choice(("event", "enforce", "enforce"))
        if verb == "event" and state not in (OK, CRITICAL):
            return  # `event` opens no connection
        self.world = model.start(self.world, host, verb, place, state, self._vip)

    def _happen(self) -> None:
        world, dice = self.world, self._dice
        place = dice.randrange(3)
        member = world.members[place]
        what = dice.choice(("health", "health", "health", "power", "person", "hold", "vtysh"))
        if what == "health":
            self.world = flip(place)(world)
        elif what == "power":
            self.world = model.power(world, place, on=not member.on)
        elif what == "vtysh":
            self.world = world.member(place, vtysh=not member.vtysh)
        elif member.on and not any(run.place == place for run in world.runs):
            if what == "hold":
                release = member.hold and dice.random() < 0.7
                self.world = (model.release if release else model.hold)(world, place)
            elif member.announced:
                self.world = model.ifdown(world, place, "person")
            else:
                self.world = model.ifup(world, place)


def test_long_random_walks_end_where_everything_belongs(size: Size) -> None:
    for seed in range(100):
        walk = Walk(seed, size)
        try:
            walk.walk(400)
            check_announced(enforce(walk.world, (0,), size), "after an enforce")
            converge(walk.world, size)
        except Hole as hole:
            raise Hole(f"seed {seed}: {hole}") from hole
        size.ends += 1


def test_the_search_sees_a_recount_that_is_missing(
    size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that finds nothing proves something only if it can find something."""
    monkeypatch.setattr(Follower, "recount", lambda *_, **__: Recount(None))
    model.program.cache_clear()
    world = race(World((BROKEN, BROKEN, OFF)), (0, FAILED), (1, FAILED))
    ends = explore(world, size)
    model.program.cache_clear()
    left = [sum(member.on and member.announced for member in end.world.members) for end in ends]
    assert 0 in left
    with pytest.raises(Hole, match="0 announce"):
        check_announced(ends[left.index(0)].world, "after the recount")


def alone(world: World, verb: str, place: int, state: State | None) -> World:
    """Let one run come to its end."""
    return finish(model.start(world, 0, verb, place, state))


def test_a_failure_is_withdrawn_and_its_recovery_restored() -> None:
    world = alone(World((BROKEN, HEALTHY, HEALTHY)), "event", 0, CRITICAL)
    assert [member.announced for member in world.members] == [False, True, True]
    world = flip(0)(skip(world, 70))
    world = alone(world, "enforce", 0, OK)
    assert all(member.announced for member in world.members)
    check_converged(world)


def test_the_last_one_that_announces_is_not_withdrawn() -> None:
    before = World((BROKEN, OUT_BROKEN, OFF))
    assert alone(before, "event", 0, CRITICAL).members == before.members


def killed_after_withdrawal() -> World:
    """Two hosts have raced, and the host that had to take its withdrawal back is dead."""
    return World((OUT_BROKEN, OUT_BROKEN, OFF))


@pytest.mark.parametrize("state", [State.OK, State.WARNING, State.CRITICAL])
def test_enforce_takes_back_what_a_killed_run_did_not(state: State) -> None:
    """The endpoint comes back, well or not, because too few others announce."""
    world = alone(killed_after_withdrawal(), "enforce", 0, state)
    assert [member.announced for member in world.members] == [True, False, True]
    assert not model.is_latched(world.members[0])


def test_enforce_takes_nothing_back_from_a_person() -> None:
    held = model.hold(World((OUT_BROKEN, BY_PERSON, OFF)), 0)
    assert alone(alone(held, "enforce", 0, WARNING), "enforce", 1, OK).members == held.members


def test_a_latch_that_another_host_has_written_over_is_written_again() -> None:
    """One host takes off an old latch, which it saw before the other host withdrew."""
    world = race(World((LEFT_BROKEN, HEALTHY, HEALTHY)), (0, FAILED), (0, STALE_OK))
    for _ in range(3):  # lock, look, count
        world = model.step(world, 1)
    while world.members[0].announced:
        world = model.step(world, 0)
    while len(world.runs) == 2:
        world = model.step(world, 1)
    assert not model.is_latched(world.members[0])
    world = finish(world)
    assert not world.members[0].announced
    assert model.is_latched(world.members[0])
