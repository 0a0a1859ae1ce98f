"""A rendering of the board that many readers share, so that they cost no more than one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ..board import Board

# However often the board changes, it is rendered at most so often (seconds): for a person who looks
# at it, and for programs.
SOONEST, SOONEST_FOR_PROGRAMS = 0.2, 1.0
# Where nothing but ages has changed, it is rendered after so many seconds.
LATEST = 2.0


class Rendered(NamedTuple):
    """The bytes, and a tag that is another one for other bytes."""

    body: bytes
    tag: str


class Fresh:
    """Renders the newest board when somebody asks, and gives everybody the same for a while.

    Args:
        look: gives the newest board.
        render: makes bytes of it.
        clock: the monotonic time in seconds.
        soonest: however often the board changes, it is rendered at most so often, in seconds.
    """

    def __init__(
        self,
        look: Callable[[], Board],
        render: Callable[[Board], bytes],
        clock: Callable[[], float],
        soonest: float = SOONEST,
    ) -> None:
        self._look = look
        self._render = render
        self._clock = clock
        self._soonest = soonest
        self._lock = threading.Lock()
        self._rendered: Rendered | None = None
        self._version = 0
        self._at = 0.0
        self._number = 0

    def get(self) -> Rendered:
        """Give a rendering that has all changes but those of the last moment."""
        with self._lock:
            age = self._clock() - self._at
            if self._rendered is None or age >= self._soonest:
                board = self._look()
                if self._rendered is None or board.version != self._version or age >= LATEST:
                    self._version, self._at = board.version, self._clock()
                    self._number += 1
                    self._rendered = Rendered(self._render(board), str(self._number))
            return self._rendered
