"""Entry point of anycast-handler: it turns every error into one line and an exit code.

Only the standard library is imported at the top, so that a missing dependency ends in one line too.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from types import FrameType
from typing import NoReturn

from anycast_checks.line import clean

from .errors import HandlerError, SignalledError
from .verbs import Invocation, Prints

PROGRAM = "anycast-handler"
TRIED_AND_FAILED = 2
CONFIGURATION = 3
# Number of new objects between two runs of the garbage collector. By default it would run a dozen
# times over what was just imported, which takes 3 % of the CPU time of a call.
COLLECTED = 100_000


def main() -> NoReturn:
    """Run anycast-handler, and exit with one of the documented codes, whatever happens."""
    gc.set_threshold(COLLECTED)
    # Engines merge stderr into the plugin output, where a library's DeprecationWarning would hide
    # the status line.
    warnings.simplefilter("ignore")
    # A stream is None where it was closed before the process began. /dev/null takes its
    # descriptor, so that no connection gets it.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)  # click would answer Ctrl-C on stderr
    # Where the parent process ignores SIGCHLD, every program's exit status would read as 0.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    invocation = Invocation()
    try:
        code = _run(invocation)
        _ignore_signals()
        sys.stdout.flush()
    except BaseException:
        # Nobody reads stdout, or its disk is full; or a signal came after the result was printed.
        code = _trouble(invocation, TRIED_AND_FAILED)
    # Not sys.exit, with which the interpreter would wait for threads that ask a hanging endpoint,
    # exit with 120 where stdout cannot be flushed, and let a late signal kill the process.
    os._exit(code)


def _run(invocation: Invocation) -> int:
    try:
        return _invoke(invocation)
    except ImportError as error:
        return _say(invocation, f"{error}: install the package again", CONFIGURATION)
    except SignalledError as error:
        then = "" if invocation.only_looks else "; `status` tells what was done"
        return _say(invocation, f"{error}{then}", TRIED_AND_FAILED)
    except SystemExit:
        # click raises SystemExit where nobody reads stdout. Its exit code 1 would mean "refused".
        return _trouble(invocation, TRIED_AND_FAILED)
    except BaseException as error:
        # Libraries raise some that are no Exception, such as a task that was cancelled. The
        # interpreter would end with 1, which means "refused".
        what = f"internal error: {type(error).__name__}: {error}{_where(error)}"
        return _say(invocation, what, TRIED_AND_FAILED)


def _invoke(invocation: Invocation) -> int:
    import click

    from anycast_checks.usage import usage_line

    from .cli import group

    try:
        code = group.main(prog_name=PROGRAM, standalone_mode=False, obj=invocation)
        return int(code or 0)
    except click.UsageError as error:
        path = f"{PROGRAM} {invocation.verb}".strip()
        text = usage_line(error, path, len(_name(invocation)) + 1)
        return _say(invocation, text, CONFIGURATION)
    except click.ClickException as error:
        return _say(invocation, error.format_message(), CONFIGURATION)
    except HandlerError as error:
        return _say(invocation, str(error), error.exit_code)


def _say(invocation: Invocation, text: str, code: int) -> int:
    # People pipe the output of `gate` into a file on an endpoint, where an error must not get.
    stream = sys.stderr if invocation.prints is Prints.FILES else sys.stdout
    print(clean(f"{_name(invocation)} {text}", 900), file=stream)
    return _trouble(invocation, code)


def _name(invocation: Invocation) -> str:
    return "ANYCAST UNKNOWN -" if invocation.prints is Prints.PLUGIN else f"{PROGRAM}:"


def _trouble(invocation: Invocation, code: int) -> int:
    # An engine would read exit code 2 as CRITICAL. As long as the verb is unknown, the caller may
    # be an engine.
    return CONFIGURATION if invocation.prints in (None, Prints.PLUGIN) else code


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if trace is None:
        return ""
    file = trace.tb_frame.f_code.co_filename.rsplit("/", 1)[-1]
    return f" ({file}:{trace.tb_lineno})"


def _on_signal(signum: int, frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the closing of connections and locks.
    _ignore_signals()
    raise SignalledError("interrupted" if signum == signal.SIGINT else "ended by SIGTERM")


def _ignore_signals() -> None:
    # Not SIG_IGN, because Python would complain on stderr about a signal that is pending already.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)


if __name__ == "__main__":
    main()
