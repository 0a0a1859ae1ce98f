"""Turns: they bound how many sessions work at the same time, where there are many endpoints."""

from __future__ import annotations

import threading

from .clock import Clock, Deadline

# A session takes some 10 ms of the one processor that the interpreter uses. With more sessions at
# once each would take too long; with fewer, all would wait for endpoints that are distant or slow.
AT_WORK = 32
LONGEST_WAIT = 60.0


class Turns:
    """Lets a few sessions work at a time; the wait for a turn does not count as a session's time.

    The wait is bounded, since endpoints that send a banner and then hang could keep all turns long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free = threading.BoundedSemaphore(AT_WORK)

    def take(self, *deadlines: Deadline) -> bool:
        """Wait for a turn, and put the deadlines off by as long as the wait took.

        Returns:
            Whether a turn was taken, which then has to be given back.
        """
        began = self._clock.monotonic()
        taken = self._free.acquire(timeout=LONGEST_WAIT)
        for deadline in set(deadlines):
            deadline.put_off(self._clock.monotonic() - began)
        return taken

    def give_back(self) -> None:
        """Give a turn back, for the next session."""
        self._free.release()
