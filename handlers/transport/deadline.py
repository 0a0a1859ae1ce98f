"""The one point in time by which a run of the handler has ended."""

from __future__ import annotations

import time

# Nagios kills an event handler after 30 s; the design promises 25.
RUN_SECONDS = 23.0


class Deadline:
    """A point on the monotonic clock that bounds every phase of a run."""

    def __init__(self, seconds: float) -> None:
        self._started = time.monotonic()
        self._end = self._started + seconds

    def left(self, at_most: float) -> float:
        """Give the seconds a phase may take: ``at_most``, or less when the run is near its end.

        Never zero or below, which sockets and locks would take for something else.
        """
        return max(0.01, min(at_most, self._end - time.monotonic()))

    def put_off(self, seconds: float) -> None:
        """Allow for time that was not the run's own."""
        self._end += seconds

    @property
    def passed(self) -> bool:
        """Whether the run should have ended."""
        return time.monotonic() >= self._end

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started
