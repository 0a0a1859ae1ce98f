"""Calls functions after a time, by one thread for all that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from .clock import SYSTEM_CLOCK

RETRY_SECONDS = 1.0


class Alarms:
    """Alarms that are nearly always cancelled, such as the time limits of commands.

    A timer of the standard library is a thread each. To start one costs more than most else that a
    command costs here, and a look at many endpoints has thousands of commands.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._set: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[float, int]] = []
        self._numbers = count()
        self._is_running = False

    def set(self, seconds: float, act: Callable[[], None]) -> int:
        """Call a function so many seconds from now, by a thread of its own; give the number."""
        with self._changed:
            number, at = next(self._numbers), SYSTEM_CLOCK.monotonic() + seconds
            self._set[number] = act
            heappush(self._due, (at, number))
            if not self._is_running:
                threading.Thread(target=self._run, daemon=True).start()
                self._is_running = True
            elif self._due[0] == (at, number):
                self._changed.notify()
        return number

    def cancel(self, number: int) -> None:
        """Do not call the function, where it was not called yet."""
        with self._changed:
            self._set.pop(number, None)
            if not self._set:
                # Nothing is waited for any more, so the thread ends.
                self._due.clear()
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._due:
                at, number = self._due[0]
                left = at - SYSTEM_CLOCK.monotonic()
                if number in self._set and left > 0:
                    self._changed.wait(left)
                    continue
                heappop(self._due)
                if act := self._set.pop(number, None):
                    self._call(number, act)
            self._is_running = False

    def _call(self, number: int, act: Callable[[], None]) -> None:
        try:
            # To close a connection may take seconds, which the next alarm must not wait.
            threading.Thread(target=act, daemon=True).start()
        except RuntimeError:
            # The host gives no more threads at present; a command that hangs must end all the same.
            self._set[number] = act
            heappush(self._due, (SYSTEM_CLOCK.monotonic() + RETRY_SECONDS, number))


ALARMS = Alarms()
