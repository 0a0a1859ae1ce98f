"""How many sessions run on one connection at a time, and the spare channels for the next ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UnreachableError
from .clock import SYSTEM_CLOCK
from .spare import Spares

# sshd gives up the room of a session a moment after the end of the session was heard there.
FREED_SECONDS = 0.2


class Sessions:
    """Counts the sessions of runs on one connection, and makes the next ones wait.

    Attributes:
        room: how many there may be at a time.
    """

    def __init__(self, room: int) -> None:
        self.room = self._free = room
        self._changed = threading.Condition()
        self._is_preparing = False

    def set_room(self, room: int) -> None:
        """Allow another number from now on; those that are open go on."""
        with self._changed:
            self._free += room - self.room
            self.room = room

    @contextmanager
    def taken(self, number: int, seconds: float) -> Iterator[None]:
        """Take so many at once. Raises: UnreachableError, where they are not free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= number, seconds):
                raise UnreachableError("the commands that run there leave no room for another")
            self._free -= number
        try:
            yield
        finally:
            self._give_back(number)

    def prepare(self, spares: Spares) -> None:
        """Open a spare channel for each session that is free; it is not waited for."""
        with self._changed:
            if self._is_preparing or not spares.missing(self._free):
                return
            self._is_preparing = True
        threading.Thread(target=self._prepare, args=(spares,), daemon=True).start()

    def _prepare(self, spares: Spares) -> None:
        SYSTEM_CLOCK.sleep(FREED_SECONDS)
        # While they are being opened, no command may take the room for them.
        with self._changed:
            missing = max(0, spares.missing(self._free))
            self._free -= missing
        try:
            spares.add(missing)
        finally:
            self._is_preparing = False
            self._give_back(missing)

    def _give_back(self, number: int) -> None:
        with self._changed:
            self._free += number
            self._changed.notify_all()
