"""The clock, and deadlines on it.

The clock is an argument, so that a test can pass its own.
"""

from __future__ import annotations

import time

# Nagios kills an event handler after 30 s; the documentation promises an end within 25 s.
RUN_SECONDS = 23.0
# For how long a person waits for a host of which nothing is heard. Until then the kernel has asked
# it for a connection at least five times: three times in the 5 s of the first try, at growing
# intervals, and twice in the second try.
SILENT_SECONDS = 7.0


class Clock:
    """The clock of this machine; all times are in seconds."""

    def monotonic(self) -> float:
        """Give a time that never goes back, for measuring."""
        return time.monotonic()

    def time(self) -> float:
        """Give the time since the epoch, for people."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds; return at once where the number is zero or less."""
        time.sleep(max(0.0, seconds))


SYSTEM_CLOCK = Clock()


class Deadline:
    """A point on a monotonic clock that bounds every phase of a run.

    ``seconds`` is how far away it was when it was set.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self._started = clock.monotonic()
        self._end = self._started + seconds

    def left(self, at_most: float) -> float:
        """Give the seconds a phase may take: ``at_most``, or less when the end is near.

        The result is above zero, since zero and less have other meanings to sockets and locks.
        """
        return max(0.01, min(at_most, self._end - self.clock.monotonic()))

    def within(self, seconds: float) -> Deadline:
        """Make a deadline so many seconds from now, but never a later one."""
        return Deadline(self.clock, self.left(seconds))

    def put_off(self, seconds: float) -> None:
        """Make the end later by the seconds that the run spent waiting for others."""
        self._end += seconds

    def heard(self) -> None:
        """Take note that the peer has answered, which only UntilHeard does."""

    @property
    def passed(self) -> bool:
        """Whether the run should have ended."""
        return self.clock.monotonic() >= self._end

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.clock.monotonic() - self._started


class UntilHeard(Deadline):
    """A deadline that comes early for a peer of which nothing is heard.

    A host that is down answers nothing. One that is far away or busy takes a connection soon, since
    its kernel does so, and may need all of the time for the rest.
    """

    def __init__(self, clock: Clock, seconds: float, silent: float) -> None:
        """Set it ``silent`` seconds from now, and ``seconds`` from now where the peer is heard."""
        super().__init__(clock, min(silent, seconds))
        self._more = seconds - self.seconds

    def heard(self) -> None:
        """Put the deadline off, once."""
        self.put_off(self._more)
        self.seconds += self._more
        self._more = 0.0
