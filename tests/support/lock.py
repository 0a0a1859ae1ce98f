"""Take the lock of a VIP, in vain or with success."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.errors import LockUnavailableError
from anycast_handlers.operation.lock import FileLocks
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline


def refused(directory: Path, seconds: float = 5.0) -> str:
    """Try to take a lock that cannot be had, and return the reason."""
    with (
        pytest.raises(LockUnavailableError) as caught,
        FileLocks(str(directory)).hold("resolver", Deadline(SYSTEM_CLOCK, seconds)),
    ):
        pytest.fail("the lock was to be had")
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def take(directory: Path) -> None:
    """Take the lock once it is free."""
    with FileLocks(str(directory)).hold("resolver", Deadline(SYSTEM_CLOCK, 30)):
        pass
