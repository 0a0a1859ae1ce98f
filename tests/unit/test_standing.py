"""How a service stands after each sample of a stream."""

from __future__ import annotations

import random
from dataclasses import replace

from anycast_checks.observation import Grade, Observation, Sample
from anycast_checks.options import HealthOptions
from anycast_checks.standing import Kind, Stand, Standing, Taken

VIP = "192.0.2.53"
OPTIONS = HealthOptions(
    address=VIP, deadline=10, verbose=0, instance="loopback", timeout=2, tries=3, retry_delay=0.2,
    warning="0.5", critical="1", timeout_state="critical", client=False, port=53,
)  # fmt: skip
RIGHT = Observation(Grade.RIGHT, "all is well", 0.001)
LATE = Observation(Grade.RIGHT, "all is well", 0.7)
SLOW = Observation(Grade.RIGHT, "all is well", 1.5)
REFUSED = Observation(Grade.REFUSED, "connection refused")
SILENT = Observation(Grade.SILENT, "no answer within 2 s")
UNCLEAR = Observation(Grade.UNCLEAR, "the plugin says UNKNOWN")


def taken(
    seen: Observation | None, began: float, ended: float, *, present: bool | None = True
) -> Taken:
    sample = Sample(VIP if present else "127.0.0.1", present, seen)
    return Taken(began, ended, began, ended, sample)


def trouble(began: float) -> Taken:
    return Taken(began, began, began, began, None, "cannot open a socket")


class Course:
    """A standing that is given one sample a second."""

    def __init__(self, options: HealthOptions = OPTIONS) -> None:
        self.standing = Standing(options)
        self._now = 0.0

    def add(self, seen: Observation | None, *, present: bool | None = True) -> Stand:
        self._now += 1
        made = self.standing.add(taken(seen, self._now, self._now + 0.1, present=present))
        assert made
        return made

    def states(self, *seen: Observation, present: bool | None = True) -> list[str]:
        return [self.add(one, present=present).state for one in seen]


def test_so_many_failing_samples_in_a_row_as_there_are_tries_are_critical() -> None:
    course = Course()
    assert course.states(RIGHT, REFUSED, REFUSED) == ["OK", "OK", "OK"]
    third = course.add(SILENT)
    assert (third.state, third.samples, third.kind) == ("CRITICAL", 3, Kind.SILENT)
    assert third.text == f"{VIP} still announced: no answer within 2 s (3 of 3 tries)"
    assert course.add(REFUSED).text.endswith(" (3 of 3 tries)")
    assert course.states(RIGHT, REFUSED, REFUSED, RIGHT) == ["OK"] * 4


def test_nothing_is_known_at_first() -> None:
    course = Course()
    assert course.states(REFUSED, REFUSED, REFUSED) == ["UNKNOWN", "UNKNOWN", "CRITICAL"]


def test_what_does_not_fail_is_judged_at_once() -> None:
    course = Course()
    assert course.states(RIGHT, LATE, RIGHT, UNCLEAR, RIGHT) == [
        "OK", "WARNING", "OK", "UNKNOWN", "OK",
    ]  # fmt: skip
    assert course.states(SLOW, SLOW, SLOW) == ["OK", "OK", "CRITICAL"]


def test_trouble_of_the_check_is_no_failure_and_ends_the_row() -> None:
    course = Course()
    course.states(RIGHT, REFUSED, REFUSED)
    seen = course.standing.add(trouble(9.0))
    assert seen
    assert (seen.state, seen.kind, seen.samples) == ("UNKNOWN", Kind.UNCLEAR, 0)
    assert "cannot open a socket" in seen.text
    course._now = 10
    assert course.states(REFUSED, REFUSED, REFUSED) == ["UNKNOWN", "UNKNOWN", "CRITICAL"]


def test_withdrawn_it_is_never_critical() -> None:
    course = Course()
    course.states(REFUSED, REFUSED, REFUSED)
    gone = course.add(REFUSED, present=False)
    assert (gone.state, gone.samples, gone.is_changed) == ("WARNING", 1, True)
    assert course.states(REFUSED, REFUSED, present=False) == ["WARNING", "WARNING"]
    assert course.add(RIGHT, present=False).state == "OK"
    untested = course.add(None, present=False)
    assert (untested.state, untested.kind) == ("WARNING", Kind.UNTESTED)


def test_what_failed_while_it_was_away_is_no_evidence_once_it_is_back() -> None:
    course = Course()
    course.states(REFUSED, REFUSED, REFUSED, present=False)
    back = course.add(REFUSED)
    assert (back.state, back.samples) == ("WARNING", 1)
    assert course.states(REFUSED, REFUSED) == ["WARNING", "CRITICAL"]


def test_silence_can_be_unknown() -> None:
    course = Course(OPTIONS.__class__(**{**OPTIONS.__dict__, "timeout_state": "unknown"}))
    assert course.states(RIGHT, SILENT, SILENT, SILENT) == ["OK", "OK", "OK", "UNKNOWN"]


def test_a_question_that_a_later_one_has_overtaken_says_nothing() -> None:
    standing = Standing(OPTIONS)
    assert standing.add(taken(RIGHT, 2.0, 2.1))
    assert standing.add(taken(SILENT, 1.0, 3.0)) is None
    assert standing.add(Taken(1.5, 3.0, 1.5, 3.0, None, "trouble")) is None
    late = standing.add(taken(RIGHT, 1.0, 3.1))
    assert late
    assert late.state == "OK"
    after = standing.add(taken(SILENT, 2.5, 4.5))
    assert after
    assert after.samples == 1


def test_it_is_said_while_it_fails_and_what_comes_next() -> None:
    course = Course()
    news = [course.add(one).is_news for one in (RIGHT, RIGHT, REFUSED, REFUSED, RIGHT, RIGHT)]
    assert news == [True, False, True, True, True, False]
    assert course.standing.suspect()
    assert not course.standing.suspect()
    assert [course.add(RIGHT).is_news for _ in range(2)] == [True, False]


def test_there_is_one_suspicion_until_all_is_well() -> None:
    course = Course()
    seen = [course.add(one).is_suspect for one in (RIGHT, REFUSED, REFUSED, RIGHT, SILENT)]
    assert seen == [False, True, False, False, True]
    course.add(RIGHT)
    assert course.standing.suspect()
    assert not course.add(SILENT).is_suspect, "it was said already"


def test_whatever_comes_critical_means_failing_and_present() -> None:
    """Random samples that overlap: the promise that withdrawals are built on."""
    dice = random.Random(4)
    for _ in range(300):
        standing, row = Standing(OPTIONS), 0
        for at in range(40):
            seen = dice.choice([RIGHT, LATE, SLOW, REFUSED, SILENT, UNCLEAR])
            one = taken(seen, at - 3 * dice.random(), at, present=dice.random() < 0.9)
            made = standing.add(one)
            if made is None:
                assert seen not in (RIGHT, LATE)
                continue
            row = made.samples
            assert made.failing == (seen in (SLOW, REFUSED, SILENT)) == (row > 0)
            if made.state == "CRITICAL":
                assert made.failing
                assert one.present
                assert row >= OPTIONS.tries


def test_what_is_as_always_is_judged_as_anything_else() -> None:
    """What needs no judging is judged alike where a limit has each sample judged."""
    kinds = (RIGHT, RIGHT, RIGHT, RIGHT, REFUSED, SILENT, UNCLEAR, None)
    for seed in range(50):
        chance = random.Random(seed)
        course = Course(replace(OPTIONS, warning=None, critical=None))
        judged = Course(replace(OPTIONS, warning="100", critical="100"))
        told = []
        for _ in range(40):
            if chance.random() < 0.1:
                assert course.standing.suspect() == judged.standing.suspect()
            seen, present = chance.choice(kinds), chance.choice((True, True, True, False, None))
            made = course.add(seen, present=present), judged.add(seen, present=present)
            told.append(made)
            assert made[0] == made[1], (seed, told)
