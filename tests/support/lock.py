"""Take the lock of a VIP, in vain or with success."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.errors import LockUnavailableError
from anycast_handlers.operation.lock import FileLock, FileLocks
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline


@contextmanager
def held(directory: Path, seconds: float = 5.0, vip: str = "resolver") -> Iterator[FileLock]:
    """Hold the lock of a VIP, for which this waits for some seconds."""
    with FileLocks(str(directory), SYSTEM_CLOCK).open(vip) as lock:
        lock.take(Deadline(SYSTEM_CLOCK, seconds))
        yield lock


def refused(directory: Path, seconds: float = 5.0) -> str:
    """Try to take a lock that cannot be had, and return the reason."""
    with pytest.raises(LockUnavailableError) as caught, held(directory, seconds):
        pytest.fail("the lock was to be had")
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def take(directory: Path) -> None:
    """Take the lock once it is free."""
    with held(directory, 30):
        pass
