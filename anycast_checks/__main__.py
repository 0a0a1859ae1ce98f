"""Entry point of check_anycast: whatever happens, one line on stdout and an exit code of 0 to 3.

Only the standard library, and as little of it as possible, until the exit boundary stands: a
dependency that cannot be imported is UNKNOWN like any other trouble.
"""

import os
import sys

from .errors import CheckError
from .line import LIMIT, clean
from .run import RUN, Stopped

UNKNOWN = 3


def main() -> None:
    """Run check_anycast with the arguments of this process and end it."""
    try:
        try:
            RUN.watch()
            heard = _occupy_standard_streams()
            code, text = _check()
        finally:
            RUN.settle()
    except BaseException as error:
        heard = sys.stdout is not None
        code, text = UNKNOWN, _unknown(error)
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


def _check() -> tuple[int, str]:
    from .command import run

    return run(sys.argv[1:])


def _unknown(error: BaseException) -> str:
    if isinstance(error, CheckError | Stopped):
        reason = str(error)
    elif isinstance(error, ImportError):
        reason = f"cannot import what it needs: {error}"
    else:
        reason = f"unexpected {type(error).__name__}: {error} (-v shows where)"
    perfdata = f" | {RUN.perfdata}" if RUN.perfdata else ""
    line = clean(f"{RUN.name} UNKNOWN - {reason}", LIMIT - len(perfdata)) + perfdata
    return "\n".join([line, *_traceback(error)]) + "\n"


def _traceback(error: BaseException) -> list[str]:
    if isinstance(error, CheckError | Stopped) or not any(map(_asks_for_detail, sys.argv[1:])):
        return []
    import traceback

    lines = "".join(traceback.format_exception(error)).splitlines()
    return [clean(line) for line in lines]


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
