"""One lock per VIP on the monitoring host."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import LockUnavailableError
from ..transport.deadline import Deadline
from .log import open_shared

# The holder acts once; what then follows here needs time too.
WAIT_SECONDS = 10.0
RETRY_SECONDS = 0.02


class Lock:
    """The lock of a VIP while it is held; its file remembers the last automatic withdrawal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def note_withdrawal(self, endpoint: str) -> str:
        """Remember a withdrawal; returns what stood in the way, empty where nothing did."""
        text = json.dumps({"endpoint": endpoint, "at": time.time()}).encode()
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
            age = time.time() - float(document["at"])
        except (ValueError, TypeError, KeyError):
            return None
        # A clock that was set back makes the note worthless.
        return age if document.get("endpoint") != endpoint and age >= 0 else None


@contextmanager
def lock(directory: str, vip: str, deadline: Deadline) -> Iterator[Lock]:
    """Hold the lock of a VIP; the kernel lets go of it when the process ends, however it ends.

    Raises:
        LockUnavailableError: the directory is not usable, or another run holds the lock too long.
    """
    file = f"{directory}/{vip}.lock"
    try:
        descriptor = open_shared(file, os.O_RDWR)
    except OSError as error:
        raise LockUnavailableError(f"refused: no lock: {file}: {error.strerror}") from error
    try:
        _wait_for(descriptor, file, deadline.left(WAIT_SECONDS))
        yield Lock(descriptor)
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, file: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise LockUnavailableError(
                    f"refused: another run has held {file} for {seconds:.0f} s"
                ) from error
            time.sleep(RETRY_SECONDS)
        else:
            return
