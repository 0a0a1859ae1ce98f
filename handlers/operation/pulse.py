"""Notices that this process was stopped: by a signal, by its container, or for lack of CPU."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..transport.clock import SYSTEM_CLOCK, Clock

BEAT_SECONDS = 1.0
# A process that is busy beats a little late; a process that did not beat for so long was stopped.
STOPPED_SECONDS = 2 * BEAT_SECONDS
# No act lasts as long as so many pauses; a watcher may have more of them over the years.
MOST_PAUSES = 100


class Pulse:
    """A thread that beats; where it misses beats, the whole process was stopped.

    While a run waits for an answer nothing else can tell: the answer may have come long ago, and
    what it says may no longer be true. A pulse that does not beat notices nothing.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        # Its release ends the thread; to wait for an event costs more at each beat.
        self._held = threading.Lock()
        self._last: float | None = None
        self._pauses: deque[tuple[float, float]] = deque(maxlen=MOST_PAUSES)

    @contextmanager
    def beating(self) -> Iterator[Pulse]:
        """Beat as long as the context lasts."""
        self._last = self._clock.monotonic()
        self._held.acquire()
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._held.release()
            thread.join()
            self._last = None

    def longest_pause(self, since: float) -> float:
        """Give the longest time without a beat that ended after a moment of the monotonic clock."""
        pauses = [seconds for end, seconds in list(self._pauses) if end > since]
        if self._last is not None:
            # After a stop the caller may go on before the thread does.
            pauses.append(self._clock.monotonic() - self._last)
        return max(pauses, default=0.0)

    def _beat(self) -> None:
        assert self._last is not None
        while not self._held.acquire(timeout=BEAT_SECONDS):
            now = self._clock.monotonic()
            if now - self._last > STOPPED_SECONDS:
                self._pauses.append((now, now - self._last))
            self._last = now
        self._held.release()
