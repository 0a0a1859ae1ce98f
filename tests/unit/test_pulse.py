"""A run notices that it was stopped, whichever of its threads goes on first."""

from __future__ import annotations

from anycast_handlers.operation.pulse import BEAT_SECONDS, Pulse
from anycast_handlers.transport.clock import Clock

from lab.waiting import wait_until


class Watch(Clock):
    """A clock that a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_a_stop_is_noticed_at_once_and_remembered() -> None:
    clock = Watch()
    with Pulse(clock).beating() as pulse:
        began = clock.now
        assert pulse.longest_pause(began) == 0.0
        clock.now += 10.0
        assert pulse.longest_pause(began) == 10.0
        # Only the pauses are left of which the thread knows.
        wait_until(lambda: pulse.longest_pause(clock.now) == 0.0, "the thread has gone on")
        assert pulse.longest_pause(began) == 10.0


def test_a_beat_that_is_a_little_late_is_no_stop() -> None:
    clock = Watch()
    with Pulse(clock).beating() as pulse:
        clock.now += BEAT_SECONDS
        wait_until(lambda: pulse.longest_pause(clock.now) == 0.0, "the thread has gone on")
        assert pulse.longest_pause(99.0) == 0.0


def test_without_a_beat_nothing_is_noticed() -> None:
    clock = Watch()
    pulse = Pulse(clock)
    clock.now += 10.0
    assert pulse.longest_pause(100.0) == 0.0
