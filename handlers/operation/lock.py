"""One lock per VIP on the monitoring host."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..errors import LockUnavailableError
from ..transport.clock import Clock, Deadline
from .log import open_shared

# Longest wait for a lock. A run that holds it has time for one act, and the run that waits still
# needs time for its own act afterwards.
WAIT_SECONDS = 10.0
RETRY_SECONDS = 0.02


class FileLock:
    """A lock that is held, in a file that remembers the last withdrawal; see HeldLock."""

    def __init__(self, descriptor: int, clock: Clock) -> None:
        self._descriptor = descriptor
        self._clock = clock

    def note_withdrawal(self, endpoint: str) -> str:
        """Remember a withdrawal; returns what went wrong, empty where nothing did."""
        text = json.dumps({"endpoint": endpoint, "at": self._clock.time()}).encode()
        try:
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))
        except OSError as error:
            return f"the withdrawal is not noted for the spacing: {error.strerror}"
        return ""

    def since_withdrawal_elsewhere(self, endpoint: str) -> float | None:
        """Give the seconds since another endpoint was withdrawn; None where that is unknown."""
        try:
            document = json.loads(os.pread(self._descriptor, 4096, 0))
            age = self._clock.time() - float(document["at"])
        except (ValueError, TypeError, KeyError):
            return None
        # A negative age means that the clock was set back, so the note tells nothing.
        return age if document.get("endpoint") != endpoint and age >= 0 else None


class Locks(Protocol):
    """Gives out the locks of the VIPs."""

    def hold(self, vip: str, deadline: Deadline) -> AbstractContextManager[HeldLock]:
        """Hold the lock of a VIP.

        Raises:
            LockUnavailableError: the lock cannot be opened, or another run holds it too long.
        """


class HeldLock(Protocol):
    """The lock of a VIP while it is held; it remembers the last automatic withdrawal."""

    def note_withdrawal(self, endpoint: str) -> str:
        """Remember a withdrawal; returns what went wrong, empty where nothing did."""

    def since_withdrawal_elsewhere(self, endpoint: str) -> float | None:
        """Give the seconds since another endpoint was withdrawn; None where that is unknown."""


class FileLocks:
    """Locks in files of this host; the kernel releases a lock however its process ends."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    @contextmanager
    def hold(self, vip: str, deadline: Deadline) -> Iterator[FileLock]:
        """Hold the lock of a VIP; see Locks."""
        file = f"{self._directory}/{vip}.lock"
        try:
            descriptor = open_shared(file, os.O_RDWR)
        except OSError as error:
            raise LockUnavailableError(f"refused: no lock: {file}: {error.strerror}") from error
        try:
            _wait_for(descriptor, file, deadline.left(WAIT_SECONDS), deadline.clock)
            yield FileLock(descriptor, deadline.clock)
        finally:
            os.close(descriptor)


def _wait_for(descriptor: int, file: str, seconds: float, clock: Clock) -> None:
    until = Deadline(clock, seconds)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if until.passed:
                raise LockUnavailableError(
                    f"refused: another run has held {file} for {seconds:.0f} s"
                ) from error
            clock.sleep(RETRY_SECONDS)
        else:
            return
