"""Threads that put the questions of a stream, so that a late answer keeps nothing else waiting."""

import os
import threading
import time
from queue import Empty, SimpleQueue

from .errors import CheckError
from .run import CheckRun
from .sampling import Prepared, take_sample
from .standing import Taken


class Workers:
    """Takes samples side by side, each in a thread that waits for the next one afterwards."""

    def __init__(self, check: Prepared, bell: int) -> None:
        """Take samples of a check, and write a byte to the file descriptor for each that ended."""
        self._check = check
        self._bell = bell
        self._wanted: SimpleQueue[int] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, Taken] | BaseException] = SimpleQueue()
        self._threads = 0
        self._busy = 0
        threading.excepthook = self._fell

    def ask(self, number: int) -> None:
        """Begin to take a sample now, which is known by this number."""
        if self._busy == self._threads:
            threading.Thread(target=self._work, daemon=True).start()
            self._threads += 1
        self._busy += 1
        self._wanted.put(number)

    def ended(self) -> tuple[int, Taken] | BaseException | None:
        """Return the next sample that has ended, or None, or what the check has raised."""
        try:
            done = self._done.get_nowait()
        except Empty:
            return None
        if isinstance(done, BaseException):
            return done
        self._busy -= 1
        return done

    def _work(self) -> None:
        run = CheckRun()
        while True:
            number = self._wanted.get()
            self._tell((number, _take(self._check, run)))

    def _fell(self, how: threading.ExceptHookArgs) -> None:
        self._tell(how.exc_value or RuntimeError("a question ended without a sample"))

    def _tell(self, done: tuple[int, Taken] | BaseException) -> None:
        self._done.put(done)
        os.write(self._bell, b"\0")


def uptime() -> float:
    """Return the seconds since the host has booted, as /proc/uptime has them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _take(check: Prepared, run: CheckRun) -> Taken:
    began, began_uptime, sample, trouble = time.monotonic(), uptime(), None, ""
    try:
        sample = take_sample(check, run)
    except CheckError as error:
        trouble = str(error)
    return Taken(began, time.monotonic(), began_uptime, uptime(), sample, trouble)
