"""Show on the terminal how far something is, where it takes longer than two seconds.

It is one line on stderr, which is written anew, and is gone when it is over. Where stderr is no
terminal there is nothing: what is piped, logged, or read by an engine stays as it is.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from anycast_checks.line import clean

from ..decision.facts import LISTED, name_some
from ..transport.clock import SYSTEM_CLOCK
from ..transport.each import Awaited

AFTER, EVERY = 2.0, 0.5
# The terminal may have been stopped (Ctrl-S); whoever waits for it waits no longer than this.
PATIENCE = 0.5
_ERASED = "\r\x1b[K"


@contextmanager
def counting(what: str, hosts: str = "endpoints", *, is_shown: bool = True) -> Iterator[Awaited]:
    """Show how many hosts have answered, and the last ones that have not."""
    awaited = Awaited()

    def say() -> str:
        left = list(awaited.left)
        text = f"{what}: {awaited.number - len(left)} of {awaited.number} {hosts}"
        return f"{text}, waits for {name_some(left)}" if 0 < len(left) <= LISTED else text

    with _showing(say) if is_shown else nullcontext():
        yield awaited


@contextmanager
def following(what: str) -> Iterator[Callable[[str], None]]:
    """Show in which step a run is."""
    steps = ["begin"]
    with _showing(lambda: f"{what}: {steps[-1]}"):
        yield steps.append


def say_begin(what: str) -> None:
    """Say on the terminal what begins, in a line that stays.

    It is for what may ask a person on the same terminal, as ssh does for a password: a line that is
    written anew would wipe out the question.
    """
    if _is_terminal():
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{clean(what)}\n".encode())


@contextmanager
def _showing(say: Callable[[], str]) -> Iterator[None]:
    if not _is_terminal():
        yield
        return
    ended = threading.Event()
    # A thread that hangs in a terminal ends with the process.
    writer = threading.Thread(target=_write, args=(say, ended, sys.stderr.fileno()), daemon=True)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join(PATIENCE)


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _write(say: Callable[[], str], ended: threading.Event, terminal: int) -> None:
    began = SYSTEM_CLOCK.monotonic()
    if ended.wait(AFTER):
        return
    # Nothing depends on this line, so a terminal that has gone is no error.
    with suppress(OSError):
        while not ended.is_set():
            seconds = SYSTEM_CLOCK.monotonic() - began
            width = os.get_terminal_size(terminal).columns or 80
            line = clean(f"{say()}, {seconds:.0f} s", max(10, width - 1))
            os.write(terminal, f"{_ERASED}{line}".encode())
            ended.wait(EVERY)
        os.write(terminal, _ERASED.encode())
