"""Threads that put the questions of a stream, so that a late answer keeps nothing else waiting."""

import os
import select
import threading
import time
from collections.abc import Callable, Container
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from .errors import CheckError
from .observation import Sample
from .run import CheckRun
from .sampling import Awaited, Prepared, begin_sample, glance, take_sample
from .standing import Taken

_NEVER = float("inf")
# Few answers take longer, in seconds. Those that do are waited for by a thread.
_QUICK = 0.02
# Most answers come sooner, in milliseconds. Whoever polls waits so long for one in peace, because
# another turn costs as much CPU as all else of a sample.
_AT_ONCE = 1

Done = tuple[int, Taken]


class _Question(NamedTuple):
    """A question that was put: its number, and when, by `time.monotonic` and by `uptime`."""

    number: int
    began: float
    began_uptime: float


class Workers:
    """Takes samples side by side, each in a thread that waits for the next one afterwards.

    To wake a thread, and to be woken by it, costs more than all else of a sample. So the answer to
    one question at a time is awaited by whoever polls, where the probe can put it without waiting.
    A thread goes on with it where the answer is late, or is another one than before.

    Attributes:
        due: when `look` has something to do, also where nothing was heard.
    """

    def __init__(self, check: Prepared, bell: int, poll: select.poll) -> None:
        """Take samples of a check.

        Args:
            check: the check that asks.
            bell: file descriptor to which each thread writes a byte when it has taken a sample.
            poll: is given the socket of the question that is awaited without a thread.
        """
        self.due = _NEVER
        self._check = check
        self._bell = bell
        self._poll = poll
        self._quick: tuple[_Question, Awaited] | None = None
        self._wanted: SimpleQueue[tuple[_Question, Awaited | None]] = SimpleQueue()
        self._done: SimpleQueue[Done | BaseException] = SimpleQueue()
        self._threads = 0
        self._busy = 0
        threading.excepthook = self._fell

    def ask(self, number: int) -> Done | None:
        """Begin to take a sample now, which is known by this number; return it if it has ended."""
        question = _Question(number, time.monotonic(), uptime())
        awaited = None if self._quick else begin_sample(self._check)
        if awaited is None:
            self._hand_over(question, None)
            return None
        if _has_come(awaited.socket):
            return self._glance(question, awaited)
        self._quick = question, awaited
        self._poll.register(awaited.socket, select.POLLIN)
        self.due = question.began + min(_QUICK, self._check.options.timeout / 2)
        return None

    def look(self, heard: Container[int], now: float) -> Done | None:
        """Return the sample that is taken without a thread, if that has ended; never wait for it.

        Args:
            heard: the file descriptors that `poll` has found.
            now: the time.
        """
        if self._quick is None:
            return None
        question, awaited = self._quick
        if awaited.socket not in heard and now < self.due:
            return None
        self._quick, self.due = None, _NEVER
        self._poll.unregister(awaited.socket)
        return self._glance(question, awaited)

    def ended(self) -> Done | BaseException | None:
        """Return the next sample that a thread has taken, or None, or what the check has raised."""
        # Only this thread takes any out.
        if self._done.empty():
            return None
        done = self._done.get_nowait()
        if isinstance(done, BaseException):
            return done
        self._busy -= 1
        return done

    def _glance(self, question: _Question, awaited: Awaited) -> Done | None:
        """Return the sample of an answer that has come; a thread takes it where that may wait."""
        taken = _take(question, partial(glance, self._check, awaited))
        if taken.sample or taken.trouble:
            return question.number, taken
        self._hand_over(question, awaited)
        return None

    def _hand_over(self, question: _Question, awaited: Awaited | None) -> None:
        if self._busy == self._threads:
            threading.Thread(target=self._work, daemon=True).start()
            self._threads += 1
        self._busy += 1
        self._wanted.put((question, awaited))

    def _work(self) -> None:
        run = CheckRun()
        while True:
            question, awaited = self._wanted.get()
            taken = _take(question, partial(take_sample, self._check, run, awaited=awaited))
            # Its socket must not stay open until the next question comes.
            del awaited
            self._tell((question.number, taken))

    def _fell(self, how: threading.ExceptHookArgs) -> None:
        self._tell(how.exc_value or RuntimeError("a question ended without a sample"))

    def _tell(self, done: Done | BaseException) -> None:
        self._done.put(done)
        os.write(self._bell, b"\0")


def uptime() -> float:
    """Return the seconds since the host has booted, as /proc/uptime has them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _has_come(socket: int) -> bool:
    """Wait a moment for an answer; tell whether it has come."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(_AT_ONCE))


def _take(question: _Question, take: Callable[[], Sample | None]) -> Taken:
    """Take a sample; without one, and without trouble, where ``take`` returns None."""
    sample, trouble = None, ""
    try:
        sample = take()
    except CheckError as error:
        trouble = str(error)
    began, began_uptime = question.began, question.began_uptime
    return Taken(began, time.monotonic(), began_uptime, uptime(), sample, trouble)
