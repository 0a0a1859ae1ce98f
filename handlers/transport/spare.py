"""Channels that are open before a command needs one, where the endpoint is far away.

A command takes two round trips: one opens its channel. On a channel that is open it takes one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .each import at_once
from .lean_paramiko import paramiko

# After so many refusals in a row no more are opened: some let sshd accept few sessions.
MOST_REFUSALS = 20


class Spares:
    """The open channels of one connection that no command has taken yet."""

    def __init__(self, open_one: Callable[[], paramiko.Channel]) -> None:
        self._open_one = open_one
        self._lock = threading.Lock()
        self._ready: list[paramiko.Channel] = []
        self._refusals = 0

    def missing(self, number: int) -> int:
        """Give how many are missing of so many; none where the server has no room for more."""
        return max(0, number - len(self._ready)) if self._refusals < MOST_REFUSALS else 0

    def take(self) -> paramiko.Channel | None:
        """Take one; None where there is none."""
        with self._lock:
            while self._ready:
                channel = self._ready.pop()
                if not channel.closed:
                    return channel
        return None

    def take_all(self) -> list[paramiko.Channel]:
        """Take all there are."""
        with self._lock:
            taken, self._ready = self._ready, []
        return taken

    def add(self, number: int) -> None:
        """Open so many more; this takes a round trip."""
        if number:
            at_once(self._add_one, range(number))

    def _add_one(self, _number: int) -> None:
        try:
            channel = self._open_one()
        except (paramiko.SSHException, EOFError, OSError):
            self._refusals += 1  # all goes on without it
            return
        with self._lock:
            self._refusals = 0
            self._ready.append(channel)
