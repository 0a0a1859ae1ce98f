"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import LabError

T = TypeVar("T")
POLL_SECONDS = 0.05
# Most conditions become true within seconds. A busy machine may need many times as long.
PATIENCE = 60.0


def wait_until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Call the condition until it is true, and return its result.

    Raises:
        LabError: it did not become true within so many seconds; the text says what was awaited.
    """
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {seconds:g} s")
        time.sleep(POLL_SECONDS)
    return answer
