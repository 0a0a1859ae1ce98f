"""A check that goes on asking: when it asks, when it is woken, and when it ends."""

import os
import select
import signal
import sys
import time
from collections import deque
from types import FrameType
from typing import NamedTuple

from .children import CHILDREN
from .errors import CheckError
from .outlet import Outlet, ReaderGoneError
from .run import CheckRun
from .sampling import Prepared
from .standing import Kind, Standing, Taken
from .stream_line import Lines, Readable, Voice
from .wakeup import Wakeups
from .workers import Workers, uptime

INTERVAL = 0.5
_UNKNOWN = 3
_STDOUT = 1
_BEAT = 1.0
_LATE = 0.05  # how much later than usual an answer is late, and this process itself
_USUAL = 9  # the median of so many answers is what is usual
_SHORTEST = 0.01  # between two questions, also with a --retry-delay of 0
_URGENT = 5.0  # how long a failing service is asked again after --retry-delay
_AT_ONCE = 3  # questions without an answer, besides one that a wake-up asks for
_SETTLE = 0.002  # the kernel closes the sockets of a process one by one
_CALM = 0.02  # between two questions that wake-ups ask for
_NEVER = float("inf")


class _Open(NamedTuple):
    """A question that has not ended: when it was put, by both clocks, and when it is late."""

    began: float
    uptime: float
    late: float


def stream(name: str, check: Prepared, run: CheckRun) -> tuple[int, str]:
    """Ask, and say what is seen, until a signal comes or the reader goes.

    Args:
        name: name of the check.
        check: the check that asks.
        run: state of the run, whose time limit is taken away.

    Returns: the exit code, and no more output.

    Raises:
        CheckError: there is no stdout.
    """
    if sys.stdout is None:
        raise CheckError("nobody reads the stream: stdout is closed")
    run.go_on()
    options = check.options
    ports = check.ports or ((options.port,) if options.port else ())
    wakeups = Wakeups(options.address, ports)
    outlet = None if os.isatty(_STDOUT) else Outlet(_STDOUT)
    voice: Voice = Readable(_STDOUT) if outlet is None else Lines(outlet)
    try:
        voice.hello(name, options.address, options.interval or INTERVAL, wakeups.names)
        asking = _Asking(check, voice, wakeups, outlet)
        voice.end(asking.go_on())
    except ReaderGoneError:
        pass
    finally:
        CHILDREN.kill_all()
        if outlet:
            outlet.close()
    return _UNKNOWN, ""


class _Asking:
    """The loop: it waits for whatever comes first, and never for an answer alone."""

    def __init__(
        self, check: Prepared, voice: Voice, wakeups: Wakeups, outlet: Outlet | None
    ) -> None:
        self._options = check.options
        self._interval = check.options.interval or INTERVAL
        self._voice = voice
        self._wakeups = wakeups
        self._outlet = outlet
        self._heard, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._workers = Workers(check, bell)
        self._standing = Standing(check.options)
        self._why = ""
        self._open: dict[int, _Open] = {}
        self._late: set[int] = set()
        self._number = 0
        self._answered: deque[float] = deque([0.0], maxlen=_USUAL)
        now = time.monotonic()
        self._began = self._next = now
        self._woken = _NEVER
        self._next_beat = now + _BEAT
        self._starved = float("-inf")  # until when this process got no time to run
        self._beats = self._samples = self._discarded = 0
        self._failing = 0.0  # since when nothing but failing samples came; 0 while none did
        self._seconds: float | None = None
        self._lag = 0.0
        signal.set_wakeup_fd(bell)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def go_on(self) -> str:
        """Ask until something ends it; return what did. Raises: ReaderGoneError."""
        poll = select.poll()
        for number in (self._heard, *self._wakeups.numbers):
            poll.register(number, select.POLLIN)
        while not self._why:
            waiting = self._outlet is not None and self._outlet.is_waiting
            poll.register(_STDOUT, select.POLLOUT if waiting else 0)
            due = self._due()
            heard = dict(poll.poll(max(0.0, due - time.monotonic()) * 1000))
            now = time.monotonic()
            self._note_lag(now - due, now)
            if heard:
                self._hear(heard, now)
            self._collect(now)
            self._suspect(now)
            self._ask(now)
            self._beat(now)
        return self._why

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._why = f"ended by {signal.Signals(number).name}"

    def _due(self) -> float:
        lateness = [one.late for number, one in self._open.items() if number not in self._late]
        asking = self._next if self._may_ask else _NEVER
        woken = self._woken if self._may_be_woken else _NEVER
        return min(self._next_beat, asking, woken, *lateness)

    @property
    def _may_ask(self) -> bool:
        return len(self._open) == len(self._late) < _AT_ONCE

    @property
    def _may_be_woken(self) -> bool:
        return len(self._open) <= _AT_ONCE

    def _note_lag(self, lag: float, now: float) -> None:
        self._lag = max(self._lag, lag)
        if lag > _LATE:
            self._starved = now

    def _hear(self, heard: dict[int, int], now: float) -> None:
        if self._heard in heard:
            os.read(self._heard, 4096)
        if events := heard.get(_STDOUT, 0):
            if events & ~select.POLLOUT:
                raise ReaderGoneError("the reader has gone")
            if self._outlet:
                self._outlet.flush()
        if any(number in heard for number in self._wakeups.numbers):
            died, moved = self._wakeups.read()
            if died or moved:
                at = max(now + (_SETTLE if died else 0.0), self._began + _CALM)
                self._woken = min(self._woken, at)

    def _collect(self, now: float) -> None:
        while done := self._workers.ended():
            if isinstance(done, BaseException):
                self._why = f"unexpected {type(done).__name__}: {done}"
                return
            number, taken = done
            del self._open[number]
            self._late.discard(number)
            self._next = min(self._next, max(now, self._count(taken, now)))

    def _count(self, taken: Taken, now: float) -> float:
        """Count a sample, say what there is to say, and return when to ask next."""
        again = now + self._pause(now)
        kind = taken.kind(self._options)
        if kind in (Kind.SILENT, Kind.SLOW) and self._was_starved(taken):
            self._discarded += 1
            return again
        stand = self._standing.add(taken)
        self._samples += 1
        self._seconds = taken.seconds if taken.seconds is not None else self._seconds
        if stand is None:
            return again
        if stand.is_suspect:
            self._voice.suspect(stand.kind.value, taken.began_uptime)
        if stand.is_news:
            self._voice.sample(stand, taken)
        if stand.failing:
            self._failing = self._failing or now
            return again
        self._failing = 0.0
        self._answered.append(taken.ended - taken.began)
        return self._began + self._interval

    def _pause(self, now: float) -> float:
        """Return how long to wait after a failing sample: what is dead for long is not urgent."""
        is_new = not self._failing or now - self._failing < _URGENT
        return max(_SHORTEST, self._options.retry_delay) if is_new else self._interval

    def _was_starved(self, taken: Taken) -> bool:
        overdue = taken.ended - taken.began - self._options.timeout
        return self._starved > taken.began or overdue > _LATE

    def _suspect(self, now: float) -> None:
        for number, one in self._open.items():
            if number not in self._late and one.late <= now:
                self._late.add(number)
                if self._standing.suspect():
                    self._voice.suspect("late", one.uptime)
                is_first = len(self._open) == 1
                again = now if is_first else self._began + self._pause(now)
                self._next = min(self._next, max(now, again))

    def _ask(self, now: float) -> None:
        is_woken = self._woken <= now and self._may_be_woken
        if not is_woken and not (self._next <= now and self._may_ask):
            return
        if is_woken:
            self._woken = _NEVER
        self._number += 1
        self._began = now
        self._next = now + self._interval
        usual = sorted(self._answered)[len(self._answered) // 2]
        self._open[self._number] = _Open(now, uptime(), now + usual + _LATE)
        self._workers.ask(self._number)

    def _beat(self, now: float) -> None:
        if now < self._next_beat:
            return
        self._beats += 1
        self._next_beat = max(self._next_beat, now - _BEAT) + _BEAT
        self._voice.beat(
            {
                "beat": self._beats,
                "samples": self._samples,
                "seconds": self._seconds,
                "lag": max(0.0, self._lag),
                "discarded": self._discarded,
                "overruns": self._wakeups.overruns,
            }
        )
        self._samples, self._lag = 0, 0.0
