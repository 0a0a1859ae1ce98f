"""Entry point of check_anycast: whatever happens, one line on stdout and an exit code of 0 to 3.

Only the standard library, and as little of it as possible, until the exit boundary stands: a
dependency that cannot be imported is UNKNOWN like any other trouble.
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
    """The run was told to end; the text says by what, and at which stage."""


class _BoundedRun(CheckRun):
    """A run that its deadline, SIGTERM and Ctrl-C end, as an exception in the main thread."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._deadline = DEADLINE
        self._settled = False
        self._reason = ""

    def watch(self) -> None:
        """Turn the deadline and the signals into `Stopped` from now on."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._stop)
        # Where our parent ignores it, the exit status of every program that we run reads as 0.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.limit(DEADLINE)

    def limit(self, deadline: float) -> None:
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


def main() -> None:
    """Run check_anycast with the arguments of this process and end it."""
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
    # Not sys.exit: the interpreter's own end turns a stdout that cannot be flushed into exit 120.
    os._exit(code)


def _occupy_standard_streams() -> bool:
    """Silence stderr, give a closed stream's number to nothing else; tell whether stdout is open.

    Engines merge stderr into the plugin's output, possibly in front of the status line.
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
    # The interpreter's own report needs no module that the start of every check would pay for.
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
