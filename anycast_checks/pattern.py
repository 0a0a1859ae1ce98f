"""A regular expression, searched for within a time limit.

Python's ``re`` may try for hours where an expression backtracks, and lets no other thread run. In
the main thread the deadline of the run ends that. For any other thread a child searches, which the
kernel ends when its time is up.
"""

import os
import re
import signal
import threading
import time

from .errors import CheckError

_AT_LEAST = 0.1  # seconds, where the answer came at the last moment
_MOST_FILES = 65536  # an old kernel closes one after the other
_MATCHES, _DIFFERS = 0, 1


def is_in(pattern: re.Pattern[bytes], data: bytes, until: float) -> bool:
    """Tell whether an expression matches somewhere in the data.

    Args:
        pattern: the expression.
        data: what is searched.
        until: the end of the time for it, by `time.monotonic`; for all threads but the main one.

    Raises:
        CheckError: it takes longer.
    """
    if threading.current_thread() is threading.main_thread():
        return pattern.search(data) is not None
    try:
        child = os.fork()
    except OSError as error:
        raise CheckError(f"cannot search for a regular expression: {error.strerror}") from error
    if child == 0:
        _search(pattern, data, max(_AT_LEAST, until - time.monotonic()))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (_MATCHES, _DIFFERS):
        shown = pattern.pattern.decode(errors="replace")
        raise CheckError(f"the regular expression '{shown}' takes too long here: it backtracks")
    return code == _MATCHES


def _search(pattern: re.Pattern[bytes], data: bytes, seconds: float) -> None:
    """Be the child: it keeps nothing open that others wait for, and never returns."""
    try:
        os.closerange(0, min(_MOST_FILES, os.sysconf("SC_OPEN_MAX")))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        os._exit(_MATCHES if pattern.search(data) else _DIFFERS)
    finally:
        os._exit(_DIFFERS + 1)
