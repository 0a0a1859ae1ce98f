"""Turns: they bound how many sessions work at the same time, where there are many endpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .clock import Clock, Deadline
from .shell import FAR

# A session takes some 10 ms of the one processor that the interpreter uses. With more sessions at
# once each would take too long; with fewer, all would wait for endpoints that are slow.
AT_WORK = 32
# A session with an endpoint that is far away mostly waits, for some ten round trips, and takes no
# more of the processor than another one. All that are at work take 1.6 s of it together, so that
# none of their commands waits for it as long as it may last (COMMAND_SECONDS); and each of them
# takes 75 KiB. Turns bound no sockets: every endpoint is connected to before it takes one.
FAR_AT_WORK = 128
LONGEST_WAIT = 60.0


class Turns:
    """Lets a few sessions work at a time; the wait for a turn does not count as a session's time.

    The wait is bounded, since endpoints that send a banner and then hang could keep all turns long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._near = threading.BoundedSemaphore(AT_WORK)
        self._far = threading.BoundedSemaphore(FAR_AT_WORK)

    def take(self, *deadlines: Deadline, distance: float = 0.0) -> Callable[[], None] | None:
        """Wait for a turn, and put the deadlines off by as long as the wait took.

        Args:
            deadlines: what bounds the session.
            distance: how far away the endpoint is, in seconds.

        Returns:
            What gives the turn back; None where none was taken.
        """
        free = self._far if distance > FAR else self._near
        began = self._clock.monotonic()
        taken = free.acquire(timeout=LONGEST_WAIT)
        for deadline in set(deadlines):
            deadline.put_off(self._clock.monotonic() - began)
        return free.release if taken else None
