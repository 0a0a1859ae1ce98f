"""When a stream asks next, and which of its questions is late; it only counts, and asks nobody."""

from collections import deque
from typing import NamedTuple

NEVER = float("inf")
LATE = 0.05  # how much later than usual an answer is late
_USUAL = 9  # the median of so many answers is what is usual
_URGENT = 5.0  # how long a failing service is asked again after --retry-delay
_SHORTEST = 0.01  # between two questions, also with a --retry-delay of 0
_AT_ONCE = 3  # questions without an answer, besides those that wake-ups ask for
# A service has sockets for TCP and UDP of both families. Each may be closed much later than the one
# before, and what was asked meanwhile gets no answer at all.
_WOKEN = 4
_SETTLE = 0.002  # the kernel closes the sockets of a process one by one
_CALM = 0.01  # between two questions that wake-ups ask for


class _Open(NamedTuple):
    """A question that has not ended: when it is late, and its mark."""

    late: float
    mark: float


class Timetable:
    """The times of the questions, by `time.monotonic`.

    In peace a question follows the other after the interval, and the next one waits for the answer.
    Where an answer is late, the next question is put at once, and they overlap from then on.
    """

    def __init__(self, interval: float, retry_delay: float, now: float) -> None:
        self._interval = interval
        self._retry_delay = max(_SHORTEST, retry_delay)
        self._open: dict[int, _Open] = {}
        self._late: set[int] = set()
        self._overtaken: set[int] = set()  # a later question has ended before them
        self._number = 0
        self._began = self._next = now
        self._woken = NEVER
        self._was_woken = -NEVER
        self._failing = NEVER  # since when nothing but failures came
        self._answered: deque[float] = deque([0.0], maxlen=_USUAL)

    @property
    def due(self) -> float:
        """The time at which there is something to do."""
        if not self._open:
            return min(self._next, self._woken)
        lateness = [one.late for number, one in self._open.items() if number not in self._late]
        asking = self._next if self._may_ask else NEVER
        woken = self._woken if self._may_be_woken else NEVER
        return min(asking, woken, *lateness, NEVER)

    def wake(self, now: float, *, died: bool) -> None:
        """Ask now, or 2 ms later where a socket of the service was closed.

        The sockets for UDP are closed after those for TCP. A datagram that comes between gets no
        answer at all, and nobody would know before its time is up.
        """
        at = max(now + (_SETTLE if died else 0.0), self._was_woken + _CALM)
        self._woken = min(self._woken, at)

    def is_time(self, now: float) -> bool:
        """Tell whether to put a question now."""
        is_woken = self._woken <= now and self._may_be_woken
        return is_woken or (self._next <= now and self._may_ask)

    def begin(self, now: float, mark: float) -> int:
        """Note that a question is put, and return its number.

        Args:
            now: the time.
            mark: what `newly_late` is to return for it.
        """
        if self._woken <= now:
            self._woken, self._was_woken = NEVER, now
        self._number += 1
        self._began, self._next = now, now + self._interval
        usual = sorted(self._answered)[len(self._answered) // 2]
        self._open[self._number] = _Open(now + usual + LATE, mark)
        return self._number

    def newly_late(self, now: float) -> list[float]:
        """Return the marks of the questions that have become late, and put the next one soon."""
        late = {number for number, one in self._open.items() if one.late <= now} - self._late
        if late:
            is_first = not self._late
            self._late |= late
            again = now if is_first else self._began + self._pause(now)
            self._next = min(self._next, max(now, again))
        return [self._open[number].mark for number in sorted(late)]

    def end(self, number: int) -> None:
        """Note that a question has ended; those that were put before it tell nothing new any more.

        They may wait for their time limit, say since their socket was closed meanwhile.
        """
        del self._open[number]
        self._late.discard(number)
        self._overtaken.discard(number)
        self._overtaken.update(one for one in self._open if one < number)

    def went_well(self, now: float, took: float) -> None:
        """Note that a question was answered, and how long that took."""
        self._failing = NEVER
        self._answered.append(took)
        self._next = min(self._next, max(now, self._began + self._interval))

    def went_badly(self, now: float) -> None:
        """Note that a question failed, or has to be put again for another reason."""
        self._failing = min(self._failing, now)
        self._next = min(self._next, now + self._pause(now))

    def _pause(self, now: float) -> float:
        """Return how long to wait after a failure: what has been dead for long is not urgent."""
        return self._retry_delay if now - self._failing < _URGENT else self._interval

    @property
    def _may_ask(self) -> bool:
        waiting = self._open.keys() - self._overtaken
        is_room = len(waiting) < _AT_ONCE and len(self._open) < _AT_ONCE + _WOKEN
        return is_room and waiting <= self._late

    @property
    def _may_be_woken(self) -> bool:
        return len(self._open) < _AT_ONCE + _WOKEN
