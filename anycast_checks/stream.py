"""A check that goes on asking: when it asks, when it is woken, and when it ends."""

import os
import select
import signal
import sys
import time
from types import FrameType

from .children import CHILDREN
from .errors import CheckError
from .outlet import Outlet, ReaderGoneError
from .run import CheckRun
from .sampling import Prepared
from .standing import Kind, Standing, Taken
from .stream_line import Lines, Readable, Voice
from .timetable import Timetable
from .wakeup import Wakeups
from .workers import Done, Workers, uptime

INTERVAL = 0.5
_UNKNOWN = 3
_STDOUT = 1
_BEAT = 1.0
_STARVED = (
    0.05  # how much later than it wanted this process has to run for its samples not to count
)


def stream(name: str, check: Prepared, interval: float, run: CheckRun) -> tuple[int, str]:
    """Ask, and say what is seen, until a signal comes or the reader goes.

    Args:
        name: name of the check.
        check: the check that asks.
        interval: time from one question to the next.
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
        voice.hello(name, options.address, interval, wakeups.names)
        asking = _Asking(check, interval, voice, wakeups, outlet)
        voice.end(asking.go_on())
    except ReaderGoneError:
        pass
    finally:
        CHILDREN.kill(for_good=True)
        if outlet:
            outlet.close()
    return _UNKNOWN, ""


def _next_beat(now: float) -> float:
    """Give the next full second, at which all streams of an endpoint beat.

    Their lines then come together, and wake who hears them once and not once each.
    """
    return (now // _BEAT + 1) * _BEAT


class _Asking:
    """The loop: it waits for whatever comes first, and never for an answer alone."""

    def __init__(
        self,
        check: Prepared,
        interval: float,
        voice: Voice,
        wakeups: Wakeups,
        outlet: Outlet | None,
    ) -> None:
        now = time.monotonic()
        self._options = check.options
        self._voice = voice
        self._wakeups = wakeups
        self._outlet = outlet
        self._heard, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        for number in (self._heard, *wakeups.numbers):
            self._poll.register(number, select.POLLIN)
        self._workers = Workers(check, bell, self._poll)
        self._standing = Standing(check.options)
        self._timetable = Timetable(interval, check.options.retry_delay, now)
        self._why = ""
        self._starved = float("-inf")  # when this process last got to run much too late
        self._next_beat = _next_beat(now)
        self._beats = self._samples = self._discarded = 0
        self._seconds: float | None = None
        self._lag = 0.0
        signal.set_wakeup_fd(bell)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def go_on(self) -> str:
        """Ask until something ends it; return what did. Raises: ReaderGoneError."""
        while not self._why:
            waiting = self._outlet is not None and self._outlet.is_waiting
            self._poll.register(_STDOUT, select.POLLOUT if waiting else 0)
            due = min(self._next_beat, self._timetable.due, self._workers.due)
            heard = dict(self._poll.poll(max(0.0, due - time.monotonic()) * 1000))
            now = time.monotonic()
            self._lag = max(self._lag, now - due)
            if now - due > _STARVED:
                self._starved = now
            if heard:
                self._hear(heard, now)
            self._collect(heard, now)
            for began in self._timetable.newly_late(now):
                if self._standing.suspect():
                    self._voice.suspect("late", began)
            if self._timetable.is_time(now):
                done = self._workers.ask(self._timetable.begin(now, uptime()))
                if done:
                    self._take(done, time.monotonic())
            if self._next_beat <= now:
                self._beat(now)
        return self._why

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._why = f"ended by {signal.Signals(number).name}"

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
                self._timetable.wake(now, died=died)

    def _collect(self, heard: dict[int, int], now: float) -> None:
        while done := self._workers.look(heard, now) or self._workers.ended():
            if isinstance(done, BaseException):
                self._why = f"unexpected {type(done).__name__}: {done}"
                return
            self._take(done, now)

    def _take(self, done: Done, now: float) -> None:
        number, taken = done
        self._timetable.end(number)
        if self._is_well(taken):
            self._timetable.went_well(now, taken.ended - taken.began)
        else:
            self._timetable.went_badly(now)

    def _is_well(self, taken: Taken) -> bool:
        """Count a sample, and say what there is to say; tell whether there is nothing to worry."""
        if taken.kind(self._options) in (Kind.SILENT, Kind.SLOW) and self._was_starved(taken):
            self._discarded += 1
            return False
        self._samples += 1
        if taken.seconds is not None:
            self._seconds = taken.seconds
        stand = self._standing.add(taken)
        if stand is None:
            return False
        if stand.is_suspect:
            self._voice.suspect(stand.kind.value, taken.began_uptime)
        if stand.is_news:
            self._voice.sample(stand, taken)
        return not stand.failing

    def _was_starved(self, taken: Taken) -> bool:
        overdue = taken.ended - taken.began - self._options.timeout
        return self._starved > taken.began or overdue > _STARVED

    def _beat(self, now: float) -> None:
        self._beats += 1
        self._next_beat = _next_beat(now)
        self._voice.beat(
            {
                "beat": self._beats,
                "samples": self._samples,
                "seconds": self._seconds,
                "lag": self._lag,
                "discarded": self._discarded,
                "overruns": self._wakeups.overruns,
            }
        )
        self._samples, self._lag = 0, 0.0
