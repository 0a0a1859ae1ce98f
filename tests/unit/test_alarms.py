"""Alarms: each comes at its time, whatever others do, and no thread is left when none is set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest
from anycast_handlers.transport.alarms import Alarms

PATIENCE, NEVER = 30.0, 3600.0


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    """Give alarms, whose thread has to have ended in the end."""
    before = set(threading.enumerate())
    yield Alarms()
    for one in set(threading.enumerate()) - before:
        one.join(PATIENCE)
        assert not one.is_alive()


def test_an_alarm_comes(alarms: Alarms) -> None:
    came = threading.Event()
    alarms.set(0.01, came.set)
    assert came.wait(PATIENCE)


def test_one_that_is_cancelled_does_not_come(alarms: Alarms) -> None:
    came: SimpleQueue[str] = SimpleQueue()
    number = alarms.set(1.0, lambda: came.put("cancelled"))
    alarms.cancel(number)
    alarms.set(1.1, lambda: came.put("later"))
    assert came.get(timeout=PATIENCE) == "later"
    with pytest.raises(Empty):
        came.get_nowait()


def test_an_earlier_one_that_was_set_later_comes_first(alarms: Alarms) -> None:
    came = threading.Event()
    late = alarms.set(NEVER, lambda: None)
    alarms.set(0.01, came.set)
    assert came.wait(PATIENCE)
    alarms.cancel(late)


def test_one_that_takes_long_delays_no_other(alarms: Alarms) -> None:
    """To close a connection may take seconds."""
    over, came = threading.Event(), threading.Event()

    def close() -> None:
        over.wait(PATIENCE)

    alarms.set(0.01, close)
    alarms.set(0.02, came.set)
    try:
        assert came.wait(PATIENCE)
    finally:
        over.set()


def test_a_thousand_have_one_thread(alarms: Alarms) -> None:
    before = threading.active_count()
    numbers = [alarms.set(NEVER, lambda: None) for _ in range(1000)]
    assert threading.active_count() == before + 1
    for number in numbers:
        alarms.cancel(number)


def test_an_alarm_may_be_cancelled_twice_and_after_it_came(alarms: Alarms) -> None:
    came = threading.Event()
    number = alarms.set(0.01, came.set)
    assert came.wait(PATIENCE)
    alarms.cancel(number)
    alarms.cancel(number)


def test_an_alarm_that_gets_no_thread_comes_later(
    alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, start = threading.Event(), threading.Thread.start
    refusals = ["can't start new thread"]

    def start_late(thread: threading.Thread) -> None:
        if threading.current_thread() is not threading.main_thread() and refusals:
            raise RuntimeError(refusals.pop())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    alarms.set(0.01, came.set)
    assert came.wait(PATIENCE)
    assert not refusals
