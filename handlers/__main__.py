"""Entry point of anycast-handler: standard library only until the exit boundary stands."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from types import FrameType
from typing import NoReturn

from anycast_checks.line import clean

from .verbs import Invocation

TRIED_AND_FAILED = 2
CONFIGURATION = 3
# Objects made between two runs of the garbage collector: by default it would look a dozen times at
# what was just imported, for 3 % of the CPU of a call.
COLLECTED = 100_000


class _Ended(BaseException):
    """A signal, made an exception so that locks and connections are closed on the way out."""


def main() -> NoReturn:
    """Run anycast-handler; whatever happens, one exit code of the documented ones."""
    gc.set_threshold(COLLECTED)
    # Engines merge stderr into the plugin output, where a library's DeprecationWarning would hide
    # the status line.
    warnings.simplefilter("ignore")
    # stdout is None where it was closed before the process began; a connection must not get its
    # number.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - until the end
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)  # click would answer Ctrl-C on stderr
    # Where the parent process ignores SIGCHLD, every program's exit status would read as 0.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    invocation = Invocation()
    try:
        code = _run(invocation)
        _ignore_signals()
        sys.stdout.flush()
    except (OSError, _Ended):
        # Nobody reads stdout, or its disk is full; or a signal came after the result was printed.
        code = _trouble(invocation, TRIED_AND_FAILED)
    # Not sys.exit: the interpreter's own end waits for threads that ask endpoints which hang, makes
    # exit 120 of a stdout that cannot be flushed, and gives signals their deadly meaning back.
    os._exit(code)


def _run(invocation: Invocation) -> int:
    try:
        return _invoke(invocation)
    except ImportError as error:
        return _say(invocation, f"{error}: install the package again", CONFIGURATION)
    except _Ended as error:
        return _say(invocation, f"{error}; `status` tells what was done", TRIED_AND_FAILED)
    except SystemExit:
        # Only click raises SystemExit, where nobody reads stdout; its exit code 1 would mean
        # "refused".
        return _trouble(invocation, TRIED_AND_FAILED)
    except Exception as error:
        what = f"internal error: {type(error).__name__}: {error}{_where(error)}"
        return _say(invocation, what, TRIED_AND_FAILED)


def _invoke(invocation: Invocation) -> int:
    import click

    from .cli import group
    from .errors import HandlerError

    try:
        code = group.main(prog_name="anycast-handler", standalone_mode=False, obj=invocation)
        return int(code or 0)
    except click.UsageError as error:
        return _say(invocation, f"{error.format_message()} See {_help(error)}", CONFIGURATION)
    except click.ClickException as error:
        return _say(invocation, error.format_message(), CONFIGURATION)
    except HandlerError as error:
        return _say(invocation, str(error), error.exit_code)


def _say(invocation: Invocation, text: str, code: int) -> int:
    name = "ANYCAST UNKNOWN -" if invocation.is_plugin else "anycast-handler:"
    print(clean(f"{name} {text}", 900))
    return _trouble(invocation, code)


def _trouble(invocation: Invocation, code: int) -> int:
    # To an engine, only positive evidence is CRITICAL; and before the verb is known an engine may
    # have asked.
    return code if invocation.is_plugin is False else CONFIGURATION


def _help(error: object) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path if context else 'anycast-handler'} -h`"


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
    raise _Ended("interrupted" if signum == signal.SIGINT else "ended by SIGTERM")


def _ignore_signals() -> None:
    # A function and not SIG_IGN, about which Python complains where both signals have come already.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)


if __name__ == "__main__":
    main()
