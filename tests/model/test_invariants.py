"""A search that finds nothing proves something only if it can find something.

Each test breaks the operation on purpose, and expects that an invariant sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from anycast_handlers.decision import automation
from anycast_handlers.decision.facts import Action, Decision, State
from anycast_handlers.endpoint import notes
from anycast_handlers.endpoint.change import HOLD as A_HOLD
from anycast_handlers.endpoint.change import Change, How, Note
from anycast_handlers.endpoint.confirmation import Confirmation
from anycast_handlers.operation import act, withdrawal
from anycast_handlers.operation.parts import Parts
from anycast_handlers.routing import follow
from anycast_handlers.routing.follow import Follower, Recount

from tests.model import deeds, running, stepping
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
    WITHDRAW,
    Called,
    race,
)
from tests.model.search import AGES, Faults, Limits, Size
from tests.model.world import Member, World

Break = Callable[[pytest.MonkeyPatch], None]
HELD_LONG = deeds.place_hold(World((BROKEN,) * 3), 0, seconds=0).members[0]
HELD = deeds.place_hold(World(), 0).members[0]


@pytest.fixture(autouse=True)
def _forget_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the steps of the operation that is not broken, and then of the broken one."""
    running.program.cache_clear()
    stepping.read_order.cache_clear()
    yield
    monkeypatch.undo()
    running.program.cache_clear()
    stepping.read_order.cache_clear()


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
