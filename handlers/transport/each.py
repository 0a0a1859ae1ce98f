"""Do the same on each of many endpoints, at once."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .deadline import Deadline

T = TypeVar("T")
R = TypeVar("R")
# Sessions at work: one takes some 10 ms of the interpreter's one processor, and with many at once
# each of them would take too long; with few, all would wait for those that are far away or slow.
AT_WORK = 32
LONGEST_WAIT = 60.0
OTHER_FILES = 100


def at_once(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call a function for all items at once, and list what it returns in their order.

    Whoever is silent only waits, and all of them at the same time; what is work is done in turns.
    """
    listed = list(items)
    _allow_files(len(listed) + OTHER_FILES)
    pool = ThreadPoolExecutor(max(1, len(listed)))
    try:
        return list(pool.map(do, listed))
    finally:
        # Whoever is told to end does not wait for endpoints that hang.
        pool.shutdown(wait=False, cancel_futures=True)


class Turns:
    """Lets a few sessions work at a time; how long one waits for its turn is not its own time.

    Nobody waits for ever: endpoints that say no more than a banner would have all turns for long.
    """

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(AT_WORK)

    def take(self, *deadlines: Deadline) -> bool:
        """Wait for a turn, and put those deadlines off by as long as that took.

        Returns:
            Whether it was had, and has to be given back.
        """
        began = time.monotonic()
        taken = self._free.acquire(timeout=LONGEST_WAIT)
        for deadline in set(deadlines):
            deadline.put_off(time.monotonic() - began)
        return taken

    def give_back(self) -> None:
        """Let the next one work."""
        self._free.release()


def _allow_files(number: int) -> None:
    """Raise this process's own limit of open files where it is too low and may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= number:
        return
    wanted = number if hard == unlimited else min(number, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
