"""A search that finds nothing proves something only if it can find something.

Each test breaks the operation on purpose, and expects that an invariant sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from anycast_handlers.decision import automation
from anycast_handlers.decision.facts import Action, Decision, State, StateType
from anycast_handlers.decision.situation import Counted
from anycast_handlers.endpoint import notes
from anycast_handlers.endpoint.change import HOLD as A_HOLD
from anycast_handlers.endpoint.change import Change, How, Note
from anycast_handlers.endpoint.confirmation import Confirmation
from anycast_handlers.operation import act, withdrawal
from anycast_handlers.operation.parts import Parts
from anycast_handlers.routing import follow
from anycast_handlers.routing.follow import Follower, Recount
from anycast_handlers.watch import ahead, response
from anycast_handlers.watch.evidence import Evidence, Judgement
from anycast_handlers.watch.pool import Pool

from tests.model import deeds, running, stepping, watching
from tests.model.invariants import Hole
from tests.model.judge import Judge
from tests.model.running import How as Sent
from tests.model.scenes import (
    BROKEN,
    BY_PERSON,
    FAILED,
    HEALTHY,
    HOLD,
    LOOKS,
    OFF,
    OUT,
    OUT_BROKEN,
    RECOVERED,
    RELEASE,
    SPLIT,
    WITHDRAW,
    Called,
    cut,
    flip,
    held,
    race,
    slow,
)
from tests.model.search import AGES, Faults, Limits, Moves, Size
from tests.model.world import Member, World

Break = Callable[[pytest.MonkeyPatch], None]
HELD_LONG = deeds.place_hold(World((BROKEN,) * 3), 0, seconds=0).members[0]
HELD = deeds.place_hold(World(), 0).members[0]


@pytest.fixture(autouse=True)
def _forget_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the steps of the operation that is not broken, and then of the broken one."""
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    running.program.cache_clear()
    stepping.read_order.cache_clear()
    watching.forget()


def replace(where: Any, name: str, by: Any) -> Break:
    """Put something else in the place of a part of the operation."""
    return lambda patch: patch.setattr(where, name, by)


def ask(edit: Callable[[str], str]) -> Break:
    """Let the operation ask the helper for something else; an empty line is left out."""
    real = Change.request

    def request(self: Change, now: float) -> str:
        lines = (edit(line) for line in real(self, now).splitlines())
        return "".join(f"{line}\n" for line in lines if line)

    return replace(Change, "request", request)


def without(start: str) -> Break:
    """Leave lines out of each request."""
    return ask(lambda line: "" if line.startswith(start) else line)


def never_late(line: str) -> str:
    """Put the end of a request off."""
    word, _, when = line.partition(" ")
    return f"{word} {int(when) + 10_000}" if word == "expires" else line


def compare_with_the_decision(self: Parts, change: Change) -> Any:
    """Take the look of the decision for what was there directly before the change."""
    return change.look, MAKE(self, change)[1]


MAKE = Parts.make


def release_too(parts: Parts, look: Any) -> tuple[Note, ...]:
    """Remove the hold of an endpoint that is withdrawn."""
    return (*NOTE(parts, look), notes.NO_HOLD)


NOTE = withdrawal._note


def as_before(before: Any, now: Any, written: Any, names: Any = ()) -> list[Note]:
    """Leave the hold as it was before a withdrawal, whoever has changed it since."""
    return [Note(A_HOLD, How.REMOVE)]


class Case(NamedTuple):
    """What is broken, where the search begins, and what it has to find."""

    found: str
    broken: Break
    members: tuple[Member, ...]
    calls: tuple[tuple[int, Called], ...]
    faults: Faults = Faults()


ANY_HOLD = ask(lambda line: "hold any" if line.startswith("hold ") else line)
BELIEVED = replace(act, "confirm", lambda _: Confirmation(State.OK, "well"))
NEVER = replace(automation, "hold_down", lambda *_: 1e9)
GUARDED = Decision(Action.REFUSE, "x", "x", State.CRITICAL)
HEALTHY_POOL = (HEALTHY,) * 3
TWO_VIPS = (BROKEN, HEALTHY, HEALTHY) * 2

CASES = [
    Case(
        "what a person took down was brought back",
        replace(automation, "_awaited", lambda *_: None),
        (BY_PERSON, HEALTHY, HEALTHY),
        ((0, RECOVERED),),
    ),
    Case(
        "withdrawn against a hold", ANY_HOLD, (BROKEN, HEALTHY, HEALTHY), ((0, FAILED), (0, HOLD))
    ),
    Case("back against a hold", ANY_HOLD, (OUT, HEALTHY, HEALTHY), ((0, RECOVERED), (0, HOLD))),
    Case(
        "after its run had given it up",
        ask(never_late),
        (BROKEN, HEALTHY, HEALTHY),
        ((0, FAILED),),
        Faults(late=1),
    ),
    Case(
        "was brought back, and was not needed",
        BELIEVED,
        (OUT_BROKEN, HEALTHY, HEALTHY),
        ((0, RECOVERED),),
    ),
    Case(
        "long after its withdrawal",
        replace(automation, "RACE_SECONDS", 1e9),
        (OUT_BROKEN, OUT_BROKEN, OFF),
        ((0, LOOKS),),
    ),
    Case(
        "after the recount: 0 announce",
        replace(Follower, "recount", lambda *_, **__: Recount(None)),
        (BROKEN, BROKEN, OFF),
        ((0, FAILED), (1, FAILED)),
    ),
    Case(
        "for longer than a recount takes",
        replace(follow, "RECOUNT_SECONDS", 8.0),
        (BROKEN, BROKEN, OFF),
        ((0, FAILED), (1, FAILED)),
    ),
    Case(
        "the automation has changed a hold",
        replace(withdrawal, "_note", release_too),
        (HELD_LONG, HEALTHY, HEALTHY),
        ((0, FAILED),),
    ),
    Case(
        "a hold was lost that another person",
        replace(notes, "as_before", as_before),
        (HEALTHY, BROKEN, OFF),
        ((0, WITHDRAW), (1, FAILED), (0, HOLD)),
    ),
    Case(
        "is broken, not needed for the floor",
        replace(automation, "find_guard", lambda *_, **__: GUARDED),
        (BROKEN, HEALTHY, HEALTHY),
        ((0, FAILED),),
    ),
    Case(
        "its latch was left behind",
        without("settle latch"),
        (OUT, HEALTHY, HEALTHY),
        ((0, RECOVERED),),
    ),
    Case("its latch was lost", without("write latch"), (BROKEN, HEALTHY, HEALTHY), ((0, FAILED),)),
    Case("is healthy, withdrawn by the suite", NEVER, (OUT, HEALTHY, HEALTHY), ((0, RECOVERED),)),
    Case("the hold of ns1 was lost", without("write hold"), HEALTHY_POOL, ((0, HOLD),)),
    Case(
        "a person was told that it is not",
        without("remove hold"),
        (HELD, HEALTHY, HEALTHY),
        ((0, RELEASE),),
    ),
    Case(
        "the withdrawal of a sibling for damage",
        replace(Parts, "make", compare_with_the_decision),
        TWO_VIPS,
        ((0, FAILED), (3, FAILED)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.found for case in CASES])
def test_an_invariant_sees_what_is_broken(
    size: Size, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    case.broken(monkeypatch)
    world = race(World(case.members), *case.calls)
    judge = Judge(size)
    limits = Limits(case.faults, late=(Sent.HANGING,), ages=AGES)
    with pytest.raises(Hole, match=case.found):
        judge.judge_all(world, limits)


class Watched(NamedTuple):
    """What has to be found, what is broken, and where the watchers of these ranks begin."""

    found: str
    broken: Break
    members: tuple[Member, ...]
    ranks: tuple[int, ...] = (0,)
    calls: tuple[tuple[int, Called], ...] = ()
    faults: Faults = Faults(moves=1)
    happens: Moves = ()


def without_turns(patch: pytest.MonkeyPatch) -> None:
    """Let a watcher act on several endpoints of a VIP at once."""
    always_free = property(lambda _: None, lambda _self, _target: None)
    patch.setattr(Pool, "acting", always_free, raising=False)


def certain(self: Evidence, now: float) -> Judgement:
    """Take a stream that is lost for a service that is dead."""
    if self._hello is None:
        return Judgement(State.CRITICAL, StateType.HARD, "it is silent", failing_since=now)
    return JUDGE(self, now)


JUDGE = Evidence.judge
# What was asked ahead is taken for what is so now, and the helper compares nothing with it.
NOT_AGAIN = ask(lambda line: re.sub("^(latch|hold) .*", r"\1 any", line))
HOLDS = (("hold 1", held(0)),)
ONE_FAILS = (BROKEN, HEALTHY, HEALTHY)
TWO_FAIL = (BROKEN, BROKEN, HEALTHY)

WATCHED = [
    Watched("withdrawn against a hold", NOT_AGAIN, ONE_FAILS, happens=HOLDS),
    Watched("back against a hold", NOT_AGAIN, (OUT, HEALTHY, HEALTHY), happens=HOLDS),
    Watched(
        "the check has not said for long",
        replace(ahead, "FRESH_SECONDS", 1e9),
        ONE_FAILS,
        calls=((1, WITHDRAW),),
        faults=Faults(late=1),
    ),
    Watched(
        "hears no stream",
        replace(Evidence, "judge", certain),
        HEALTHY_POOL,
        happens=(("cut 1", cut(0)),),
    ),
    Watched(
        "without evidence",
        replace(Evidence, "_is_late", lambda *_: False),
        HEALTHY_POOL,
        faults=Faults(moves=2),
        happens=(("slow 1", slow(0)), ("flip 1", flip(0))),
    ),
    Watched("before its time", replace(Evidence, "_is_certain", lambda *_: True), ONE_FAILS),
    Watched("before its time", replace(response, "RANK_SECONDS", 0.0), ONE_FAILS, ranks=(0, 1)),
    Watched(
        "one of many that fail alike",
        replace(Pool, "held_back_until", lambda *_: None),
        (BROKEN, HEALTHY, BROKEN),
    ),
    Watched("twice at the same time", without_turns, TWO_FAIL),
    Watched(
        "a look hands on a failure",
        replace(Judgement, "is_certain_failure", property(lambda _: False)),
        ONE_FAILS,
    ),
    Watched(
        "acts without the lock",
        replace(stepping._Locks, "take", lambda *_: None),
        TWO_FAIL,
        calls=((0, FAILED),),
    ),
    Watched(
        "too few others announced",
        replace(automation, "find_guard", lambda *_, **__: None),
        (BROKEN, OUT_BROKEN, OFF),
    ),
    Watched(
        "what a person took down was brought back",
        replace(automation, "_awaited", lambda *_: None),
        (BY_PERSON, HEALTHY, HEALTHY),
    ),
    Watched("after its run had given it up", ask(never_late), ONE_FAILS, faults=Faults(late=1)),
    Watched("is healthy, withdrawn by the suite", NEVER, (OUT, HEALTHY, HEALTHY)),
]


@pytest.mark.parametrize("case", WATCHED, ids=[case.found for case in WATCHED])
def test_an_invariant_sees_a_watcher_that_is_broken(
    size: Size, monkeypatch: pytest.MonkeyPatch, case: Watched
) -> None:
    case.broken(monkeypatch)
    world = World(case.members)
    for host, rank in enumerate(case.ranks):
        world = watching.start(world, host, 14, rank=rank, pace=3.0)
    world = race(world, *case.calls)
    limits = Limits(case.faults, case.happens, late=(Sent.HANGING,), ages=AGES)
    with pytest.raises(Hole, match=case.found):
        Judge(size, watches=True).judge_all(world, limits)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("few_in_site", "withdraws, and too few others announced"),
        ("is_surely_few", "was just withdrawn|longer than a recount takes"),
    ],
)
def test_a_floor_of_a_site_that_nobody_keeps_is_seen(
    monkeypatch: pytest.MonkeyPatch, size: Size, name: str, seen: str
) -> None:
    monkeypatch.setattr(Counted, name, property(lambda _: False))
    members = (BROKEN, BROKEN, HEALTHY)
    world = race(World(members, split=True), (0, FAILED), (1, FAILED), **SPLIT)
    with pytest.raises(Hole, match=seen):
        Judge(size, **SPLIT).judge_all(world)
