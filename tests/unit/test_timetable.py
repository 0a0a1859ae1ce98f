"""When a stream asks: by a clock that the test moves."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from anycast_checks.timetable import Timetable

INTERVAL, RETRY = 0.5, 0.1


class Clock:
    """A timetable, and the time."""

    def __init__(self, interval: float = INTERVAL, retry: float = RETRY) -> None:
        self.now = 100.0
        self.table = Timetable(interval, retry, self.now)

    def to(self, due: float) -> None:
        """Let the time pass until something is due, which must be at this time after the start."""
        assert self.table.due == pytest.approx(100 + due)
        self.now = self.table.due

    def ask(self) -> int:
        assert self.table.is_time(self.now)
        return self.table.begin(self.now, self.now)

    def answer(self, number: int, took: float = 0.0) -> None:
        self.now += took
        self.table.end(number)
        self.table.went_well(self.now, took)

    def fail(self, number: int) -> None:
        self.table.end(number)
        self.table.went_badly(self.now)


def test_in_peace_a_question_follows_the_other_after_the_interval() -> None:
    clock = Clock()
    for due in (0.0, 0.5, 1.0):
        clock.to(due)
        clock.answer(clock.ask(), took=0.01)
        assert not clock.table.is_time(clock.now)


def test_after_a_failure_the_next_one_comes_soon() -> None:
    clock = Clock()
    for due in (0.0, 0.1, 0.2):
        clock.to(due)
        clock.fail(clock.ask())
    clock.to(0.3)
    clock.answer(clock.ask())
    clock.to(0.8)


def test_where_an_answer_is_late_the_questions_overlap() -> None:
    clock = Clock(interval=10)
    first = clock.ask()
    clock.to(0.05)
    assert clock.table.newly_late(clock.now) == [100.0]
    assert clock.table.newly_late(clock.now) == []
    second = clock.ask()
    clock.to(0.1)
    assert len(clock.table.newly_late(clock.now)) == 1
    clock.to(0.15)
    clock.ask()
    clock.to(0.2)
    clock.table.newly_late(clock.now)
    assert clock.table.due == float("inf"), "there are enough of them"
    clock.now += 1
    clock.fail(first)
    third = clock.ask()
    clock.answer(second)
    clock.fail(third)


def test_what_is_usual_is_not_late() -> None:
    """Nine answers of a plugin that takes a second; one odd answer more changes little."""
    clock = Clock(interval=2)
    for _ in range(9):
        clock.now = max(clock.now, clock.table.due)
        clock.answer(clock.ask(), took=1.0)
    clock.now = clock.table.due
    began, number = clock.now, clock.ask()
    assert clock.table.due == pytest.approx(began + 1.05)
    clock.answer(number, took=0.001)
    clock.now = clock.table.due
    clock.ask()
    assert clock.table.due == pytest.approx(clock.now + 1.05)


def test_a_death_is_asked_about_after_two_milliseconds() -> None:
    clock = Clock()
    clock.answer(clock.ask(), took=0.001)
    clock.table.wake(clock.now, died=True)
    clock.table.wake(clock.now + 0.001, died=True)
    clock.to(0.003)
    clock.answer(clock.ask())
    clock.table.wake(clock.now, died=False)
    clock.to(0.013)


def test_an_address_that_moved_is_asked_about_at_once() -> None:
    clock = Clock()
    clock.answer(clock.ask(), took=0.1)
    clock.table.wake(clock.now, died=False)
    assert clock.table.is_time(clock.now)


def test_a_wake_up_asks_while_others_wait_and_never_without_end() -> None:
    clock = Clock(interval=10)
    numbers = [clock.ask()]
    for _ in range(100):
        clock.now += 0.03
        clock.table.newly_late(clock.now)
        clock.table.wake(clock.now, died=True)
        clock.now += 0.002
        if clock.table.is_time(clock.now):
            numbers.append(clock.ask())
    assert len(numbers) == 7


def test_each_socket_that_is_closed_late_is_asked_about() -> None:
    clock = Clock(interval=10)
    clock.ask()
    while clock.table.due < 110:
        clock.now = clock.table.due
        clock.table.newly_late(clock.now)
        if clock.table.is_time(clock.now):
            clock.ask()
    for _ in range(4):
        clock.now += 1
        clock.table.newly_late(clock.now)
        clock.table.wake(clock.now, died=True)
        clock.now += 0.002
        clock.ask()


def test_what_waits_in_vain_keeps_no_question_back_once_a_later_one_has_failed() -> None:
    clock = Clock(interval=10)
    waiting = [clock.ask()]
    while clock.table.due < 110:
        clock.now = clock.table.due
        clock.table.newly_late(clock.now)
        if clock.table.is_time(clock.now):
            waiting.append(clock.ask())
    assert len(waiting) == 3
    clock.now += 1
    clock.table.wake(clock.now, died=True)
    clock.now += 0.002
    clock.fail(clock.ask())
    for _ in range(5):
        assert clock.table.due == pytest.approx(clock.now + RETRY)
        clock.now = clock.table.due
        clock.fail(clock.ask())
    clock.fail(waiting[0])


def test_what_has_been_dead_for_long_is_asked_at_the_interval() -> None:
    clock = Clock(interval=2)
    clock.fail(clock.ask())
    asked = []
    while clock.now < 120:
        clock.now = clock.table.due
        asked.append(clock.now - 100)
        clock.fail(clock.ask())
    assert 48 <= sum(at <= 5 for at in asked) <= 51
    late = [at for at in asked if at > 5.2]
    assert all(two - one == pytest.approx(2) for one, two in pairwise(late))
    clock.now = clock.table.due
    clock.answer(clock.ask())
    clock.now = clock.table.due
    clock.fail(clock.ask())
    assert clock.table.due == pytest.approx(clock.now + RETRY), "it is urgent again"


def test_whatever_happens_it_asks_again_and_never_too_much() -> None:
    """Random answers and wake-ups: at most seven questions wait, and none comes too soon."""
    dice = random.Random(5)
    for _ in range(50):
        clock = Clock(dice.choice([0.01, 0.2, 1]), dice.choice([0.0, 0.02, 0.25]))
        waiting: list[int] = []
        asked = []
        for _ in range(300):
            clock.now += dice.random() * 0.02
            clock.table.newly_late(clock.now)
            if dice.random() < 0.1:
                clock.table.wake(clock.now, died=dice.random() < 0.5)
            if clock.table.is_time(clock.now):
                waiting.append(clock.ask())
                asked.append(clock.now)
            if waiting and dice.random() < 0.2:
                number = waiting.pop(dice.randrange(len(waiting)))
                dice.choice([clock.answer, clock.fail])(number)
            assert len(waiting) <= 7
        while waiting:
            clock.fail(waiting.pop())
        assert clock.table.due <= clock.now + 1
        assert len(asked) <= 2 + (clock.now - 100) / 0.005
