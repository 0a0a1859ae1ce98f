"""Call a function for many endpoints at once."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
OTHER_FILES = 100


def at_once(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call a function for all items at once, and list what it returns in their order.

    All silent endpoints are waited for at the same time; turns.py bounds the sessions at work.
    """
    listed = list(items)
    _allow_files(len(listed) + OTHER_FILES)
    pool = ThreadPoolExecutor(max(1, len(listed)))
    try:
        return list(pool.map(do, listed))
    finally:
        # When the process is told to end, it must not wait for endpoints that hang.
        pool.shutdown(wait=False, cancel_futures=True)


def _allow_files(number: int) -> None:
    """Raise this process's own limit of open files where it is too low and may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= number:
        return
    wanted = number if hard == unlimited else min(number, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
