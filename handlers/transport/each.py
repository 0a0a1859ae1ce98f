"""Call a function for many endpoints at once."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
# A tunnel through a bastion has two ends.
FILES_FOR_EACH = 2
OTHER_FILES = 100
FEW = 8
# malloc.h
_ARENA_MAX = -8


class Awaited:
    """Names of what is still waited for, for another thread that shows how far it is."""

    def __init__(self) -> None:
        self.number = 0
        self.left: list[str] = []

    def expect(self, names: Iterable[str]) -> None:
        """Wait for all of these."""
        self.left = list(names)
        self.number = len(self.left)

    @contextmanager
    def coming(self, name: str) -> Iterator[None]:
        """Wait no longer for one of them, once the context is left in whatever way."""
        try:
            yield
        finally:
            self.left.remove(name)


def at_once(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call a function for all items at once, and list what it returns in their order.

    All silent endpoints are waited for at the same time; turns.py bounds the sessions at work.
    """
    listed = list(items)
    if len(listed) == 1:
        return [do(listed[0])]
    if len(listed) > FEW:
        _share_memory()
    allow_files(FILES_FOR_EACH * len(listed) + OTHER_FILES)
    pool = ThreadPoolExecutor(max(1, len(listed)))
    try:
        return list(pool.map(do, listed))
    finally:
        # When the process is told to end, it must not wait for endpoints that hang.
        pool.shutdown(wait=False, cancel_futures=True)


class Answers(Generic[T, R]):
    """Calls a function for all items at once, and hands out what it returns as it comes."""

    def __init__(self, do: Callable[[T], R], items: Sequence[T]) -> None:
        allow_files(FILES_FOR_EACH * len(items) + OTHER_FILES)
        self._done: SimpleQueue[tuple[T, Future[R]]] = SimpleQueue()
        pool = ThreadPoolExecutor(max(1, len(items)))
        for item in items:
            pool.submit(do, item).add_done_callback(partial(self._note, item))
        pool.shutdown(wait=False)

    def next(self, seconds: float) -> tuple[T, R] | None:
        """Give the next item with its result; None where no call ends within ``seconds``.

        An exception of the call is raised here.
        """
        try:
            item, called = self._done.get(timeout=seconds)
        except Empty:
            return None
        return item, called.result()

    def _note(self, item: T, called: Future[R]) -> None:
        self._done.put((item, called))


def _share_memory() -> None:
    """Have all threads take their memory from one heap.

    By default the C library gives each thread a heap of its own, which keeps the room of the
    longest answer that was ever in it.
    """
    # Other C libraries have no such heaps, and no such function.
    with suppress(ImportError, AttributeError, OSError):
        # It takes some milliseconds to import, and is of use to runs with many threads only.
        import ctypes

        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def allow_files(number: int) -> None:
    """Raise this process's own limit of open files where it is too low and may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= number:
        return
    wanted = number if hard == unlimited else min(number, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
