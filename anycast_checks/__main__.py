"""Entry point of check_anycast: whatever happens, one line on stdout and an exit code of 0 to 3.

This module imports only the standard library, and little of it. All else is imported within the
exit boundary, so that a dependency which is missing ends in UNKNOWN like any other trouble.
"""

import io
import os
import signal
import sys
import time
from types import FrameType

from .errors import CheckError
from .line import LIMIT, clean
from .run import DEADLINE, CheckRun

UNKNOWN = 3
_AGAIN = 0.1


class Stopped(BaseException):
    """The run must end now; the text says what ended it, and at which stage."""


class _BoundedRun(CheckRun):
    """A run that its deadline, SIGTERM and Ctrl-C end, by an exception in the main thread."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._deadline = DEADLINE
        self._settled = False
        self._reason = ""

    def watch(self) -> None:
        """Raise `Stopped` at the deadline and on a signal, from now on."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._stop)
        # An engine may start us with SIGCHLD ignored. Then the kernel keeps no exit status of our
        # children, and that of every program that we run would read as 0.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.limit(DEADLINE)

    def limit(self, deadline: float) -> None:
        self._deadline = deadline
        left = self._began + deadline - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(left, _AGAIN), _AGAIN)

    def go_on(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def settle(self) -> None:
        """Ignore the deadline and all signals from now on, because the result is known."""
        self._settled = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._settled:
            return
        # Python drops an exception that is raised in a destructor, or in a callback of the import
        # system. Therefore the timer goes off again, until one gets through.
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        if not self._reason:
            self._reason = (
                f"deadline of {self._deadline:g} s reached"
                if number == signal.SIGALRM
                else f"ended by {signal.Signals(number).name}"
            ) + f" while {self.stage}"
        raise Stopped(self._reason)


def main() -> None:
    """Run check_anycast with the arguments of this process, and end the process."""
    run = _BoundedRun()
    try:
        try:
            run.watch()
            heard = _occupy_standard_streams()
            code, text = _check(run)
        finally:
            run.settle()
    except BaseException as error:
        heard = sys.stdout is not None
        code, text = UNKNOWN, _unknown(run, error)
    if not (heard and _written(text)):
        code = UNKNOWN
    # After sys.exit the interpreter would flush stdout once more, and exit with 120 if it cannot.
    os._exit(code)


def _occupy_standard_streams() -> bool:
    """Silence stderr, keep the numbers 0 to 2 occupied, and tell whether stdout is open.

    An engine merges stderr into the plugin's output, possibly in front of the status line. Where
    the engine has closed one of the streams, the next socket would get the number of that stream.
    """
    silence = os.open(os.devnull, os.O_RDWR)
    while silence <= 2:
        silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 2)
    os.close(silence)
    return sys.stdout is not None


def _check(run: CheckRun) -> tuple[int, str]:
    from .command import run_check

    return run_check(sys.argv[1:], run)


def _unknown(run: CheckRun, error: BaseException) -> str:
    if isinstance(error, CheckError | Stopped):
        reason = str(error)
    elif isinstance(error, ImportError):
        reason = f"cannot import what it needs: {error}"
    else:
        reason = f"unexpected {type(error).__name__}: {error} (-v shows where)"
    perfdata = f" | {run.perfdata}" if run.perfdata else ""
    line = clean(f"{run.name} UNKNOWN - {reason}", LIMIT - len(perfdata)) + perfdata
    return "\n".join([line, *_traceback(error)]) + "\n"


def _traceback(error: BaseException) -> list[str]:
    if isinstance(error, CheckError | Stopped) or not any(map(_asks_for_detail, sys.argv[1:])):
        return []
    # The interpreter can print a traceback by itself. The module traceback would have to be
    # imported at the start of every check.
    sys.stderr = report = io.StringIO()
    sys.__excepthook__(type(error), error, error.__traceback__)
    return [clean(line) for line in report.getvalue().splitlines()]


def _asks_for_detail(argument: str) -> bool:
    return argument == "--verbose" or (argument[:2] == "-v" and set(argument[1:]) == {"v"})


def _written(text: str) -> bool:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main()
