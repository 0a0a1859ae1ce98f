"""What is heard of one stream: bounded, whatever an endpoint says, and with a remedy."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from anycast_handlers.transport.clock import Clock
from anycast_handlers.watch.events import Events
from anycast_handlers.watch.line import LONGEST
from anycast_handlers.watch.streams import MOST_LINES, Ear, Heard

from tests.unit.test_watch_target import DNS, fleet, target

PATIENCE = 30.0
REMEDY = "`anycast-handler gate --install root@10.0.1.2`"


class Now(Clock):
    """A clock that a test sets."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Said:
    """A stream that has ended, and what was said on its standard error."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble

    def close(self) -> None: ...


class Listening:
    """An ear, and what it has put into the queue of the main loop."""

    def __init__(self, directory: Path) -> None:
        self.clock = Now()
        self.events = Events()
        self.ear = Ear(target(fleet(directory, DNS.replace("{more}", ""))), self.events, self.clock)

    def texts(self) -> list[str | None]:
        """Take what is in the queue, as the main loop does."""
        found = []
        for event in self.events.take(0.0):
            assert isinstance(event, Heard)
            self.ear.taken += 1
            found.append(event.text)
        return found


@pytest.fixture
def listening(tmp_path: Path) -> Listening:
    return Listening(tmp_path)


def test_each_line_is_passed_on_with_its_moment(listening: Listening) -> None:
    listening.clock.now = 5.0
    listening.ear("a")
    (event,) = listening.events.take(0.0)
    assert isinstance(event, Heard)
    assert (event.text, event.at) == ("a", 5.0)


def test_a_beat_wakes_nobody_and_comes_in_its_turn(listening: Listening) -> None:
    beat = '{"seq": 3, "uptime": 1.0, "beat": 2, "samples": 5}'
    woken: list[object] = []
    waiting = threading.Thread(target=lambda: woken.extend(listening.events.take(PATIENCE)))
    waiting.start()
    for _ in range(3):
        listening.ear(beat)
    assert woken == []
    assert waiting.is_alive()
    listening.ear('{"state": "CRITICAL"}')
    waiting.join(PATIENCE)
    assert [event.text for event in woken if isinstance(event, Heard)] == [
        *([beat] * 3),
        '{"state": "CRITICAL"}',
    ]


def test_fifty_lines_a_second_go_on_for_ever(listening: Listening) -> None:
    """So many a service has that begins to fail."""
    for number in range(5000):
        listening.clock.now = number / 50
        listening.ear("line")
        assert listening.texts() == ["line"]


def test_a_flood_ends_and_no_more_is_kept(listening: Listening) -> None:
    for _ in range(100_000):
        listening.ear("line")
    texts = listening.texts()
    assert texts == ["line"] * MOST_LINES + [None]
    assert listening.ear.trouble == "it said more than a stream does"


def test_lines_that_nobody_takes_end_it_too(listening: Listening) -> None:
    """However slowly they come, since this program hangs then."""
    for number in range(1000):
        listening.clock.now = float(2 * number)
        listening.ear("line")
    *lines, end = listening.texts()
    assert end is None
    assert len(lines) <= MOST_LINES + 1


def test_a_line_that_is_too_long_ends_it(listening: Listening) -> None:
    listening.ear("x" * (LONGEST + 1))
    listening.ear("next")
    assert listening.texts() == [None]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", ""),
        ("sh: 1: check_anycast: not found", "sh: 1: check_anycast: not found"),
        (
            "anycast-gate: refused: check_anycast ...",
            "anycast-gate: refused: check_anycast ...: " + REMEDY,
        ),
    ],
)
def test_why_it_has_ended_comes_with_a_remedy(listening: Listening, said: str, told: str) -> None:
    listening.ear.stream = Said(said)
    assert listening.ear.trouble == told
