"""The one run of this process: its stage, and what may end it early; standard library only."""

import signal
import time
from types import FrameType

ANYCAST = "ANYCAST"
DEADLINE = 10.0
_AGAIN = 0.1


class Stopped(BaseException):
    """The run was told to end; the text says by what, and at which stage."""


class Run:
    """What the exit boundary must know when anything goes wrong, kept up to date by whoever runs.

    Attributes:
        name: what the status line starts with.
        stage: what is being done now, to be read after "while".
        perfdata: the performance data of a run that cannot tell.
    """

    def __init__(self) -> None:
        self.name = ANYCAST
        self.stage = "starting"
        self.perfdata = ""
        self._began = time.monotonic()
        self._deadline = DEADLINE
        self._settled = False
        self._reason = ""

    def watch(self) -> None:
        """Turn the deadline, SIGTERM and Ctrl-C into `Stopped`, raised in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._stop)
        # Ignored by who starts us, it would make every program's exit status 0.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.limit(DEADLINE)

    def limit(self, deadline: float) -> None:
        """End the run this many seconds after it began."""
        self._deadline = deadline
        left = self._began + deadline - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(left, _AGAIN), _AGAIN)

    def settle(self) -> None:
        """Let nothing end the run early any more: its result is known."""
        self._settled = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._settled:
            return
        # Raised in a destructor or a callback of the import system it would be lost: ring again.
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        if not self._reason:
            self._reason = (
                f"deadline of {self._deadline:g} s reached"
                if number == signal.SIGALRM
                else f"ended by {signal.Signals(number).name}"
            ) + f" while {self.stage}"
        raise Stopped(self._reason)


RUN = Run()
