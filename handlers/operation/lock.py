"""One lock per VIP on the monitoring host."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from ..endpoint.numbers import time
from ..errors import LockUnavailableError
from ..transport.clock import Clock, Deadline
from .log import only_a_file, open_shared, why_not

# Longest wait for a lock. A run that holds it has time for one act, and the run that waits still
# needs time for its own act afterwards.
WAIT_SECONDS = 10.0
RETRY_SECONDS = 0.02
LONGEST_ACT_SECONDS = 60.0
# The notes of many acts, with long names of endpoints, are some thousand bytes.
LARGEST_FILE = 1_000_000


class Lock(Protocol):
    """The lock of a VIP; its file remembers the last automatic withdrawal, and acts under way.

    The methods that remember something return what went wrong, empty where nothing did.
    """

    def take(self, deadline: Deadline) -> None:
        """Wait for the lock; it is held until its context ends.

        Raises:
            LockUnavailableError: another run holds it too long.
        """

    def note_act(self, endpoint: str, seconds: float) -> str:
        """Remember that an endpoint may be withdrawn within so many seconds."""

    def note_end(self, endpoint: str) -> str:
        """Forget the act under way on an endpoint: its end is known."""

    def note_withdrawal(self, endpoint: str) -> str:
        """Remember an automatic withdrawal, which ends the act under way on that endpoint."""

    def since_withdrawal_elsewhere(self, endpoint: str) -> float | None:
        """Give the seconds since another endpoint was withdrawn; None where that is unknown."""

    def under_way_elsewhere(self, endpoint: str) -> tuple[str, ...]:
        """Name the other endpoints that may be withdrawn by runs that were ended."""


class Locks(Protocol):
    """Gives out the locks of the VIPs."""

    def open(self, vip: str) -> AbstractContextManager[Lock]:
        """Open the lock of a VIP, without holding it yet.

        Raises:
            LockUnavailableError: the lock cannot be opened.
        """


class FileLocks:
    """Locks in files of this host; the kernel releases a lock however its process ends."""

    def __init__(self, directory: str, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    @contextmanager
    def open(self, vip: str) -> Iterator[FileLock]:
        """Open the lock of a VIP; see Locks."""
        file = f"{self._directory}/{vip}.lock"
        try:
            descriptor = only_a_file(open_shared(file, os.O_RDWR))
        except OSError as error:
            raise LockUnavailableError(
                f"refused: no lock: {file}: {why_not(file, error)}"
            ) from error
        try:
            yield FileLock(file, descriptor, self._clock)
        finally:
            os.close(descriptor)


class FileLock:
    """A lock that is a file; see Lock."""

    def __init__(self, file: str, descriptor: int, clock: Clock) -> None:
        self._file = file
        self._descriptor = descriptor
        self._clock = clock

    def take(self, deadline: Deadline) -> None:
        """Wait for the lock; see Lock."""
        _wait_for(self._descriptor, self._file, deadline.left(WAIT_SECONDS), self._clock)

    def note_act(self, endpoint: str, seconds: float) -> str:
        """Remember that an endpoint may be withdrawn within so many seconds."""
        under_way = self._under_way() | {endpoint: self._clock.time() + seconds}
        return self._remember({**self._remembered(), "under_way": under_way})

    def note_end(self, endpoint: str) -> str:
        """Forget the act under way on an endpoint."""
        return self._remember({**self._remembered(), "under_way": self._others(endpoint)})

    def note_withdrawal(self, endpoint: str) -> str:
        """Remember an automatic withdrawal."""
        under_way, now = self._others(endpoint), self._clock.time()
        return self._remember({"endpoint": endpoint, "at": now, "under_way": under_way})

    def since_withdrawal_elsewhere(self, endpoint: str) -> float | None:
        """Give the seconds since another endpoint was withdrawn; None where that is unknown."""
        last = self._remembered()
        try:
            age = self._clock.time() - time(last["at"])
        except (ValueError, KeyError):
            return None
        # A negative age means that the clock was set back, so the note tells nothing.
        return age if last.get("endpoint") != endpoint and age >= 0 else None

    def under_way_elsewhere(self, endpoint: str) -> tuple[str, ...]:
        """Name the other endpoints that may be withdrawn by runs that were ended."""
        return tuple(self._others(endpoint))

    def _others(self, endpoint: str) -> dict[str, float]:
        return {name: until for name, until in self._under_way().items() if name != endpoint}

    def _under_way(self) -> dict[str, float]:
        """Give the acts under way: each endpoint, and until when it may be withdrawn."""
        now = self._clock.time()
        try:
            noted = {name: time(until) for name, until in self._remembered()["under_way"].items()}
        except (ValueError, AttributeError, KeyError):
            return {}
        # A longer time means that the clock was set back.
        return {name: at for name, at in noted.items() if 0 < at - now < LONGEST_ACT_SECONDS}

    def _remembered(self) -> dict[str, Any]:
        try:
            document = json.loads(os.pread(self._descriptor, LARGEST_FILE, 0))
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def _remember(self, document: dict[str, Any]) -> str:
        text = json.dumps(document).encode()
        try:
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))
        except OSError as error:
            return f"{self._file}: the withdrawal is not noted: {error.strerror}"
        return ""


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
