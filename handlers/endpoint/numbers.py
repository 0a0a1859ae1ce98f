"""Numbers that an endpoint says, read within bounds: it may print anything at all."""

from __future__ import annotations

import re

# In seconds: 30,000 years, which Python still writes as a date.
LATEST = 1e12
_WHOLE = re.compile(r"[0-9]{1,12}")
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def clock(text: str) -> int:
    """Read a time in seconds since the epoch. Raises: ValueError."""
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"not a time: {text[:40]!r}")
    return int(text)


def uptime(text: str) -> float:
    """Read an uptime in seconds. Raises: ValueError."""
    if not _DECIMAL.fullmatch(text.strip()):
        raise ValueError(f"not an uptime: {text[:40]!r}")
    return float(text)


def time(value: object) -> float:
    """Accept a time from a JSON document. Raises: ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a number: {_shown(value)}")
    # The comparison is false for NaN too.
    if not 0 <= value < LATEST:
        raise ValueError(f"not a time: {_shown(value)}")
    return value


def _shown(value: object) -> str:
    # repr fails for what is nested deeply.
    return f"{value!r:.40}" if isinstance(value, str | int | float) else type(value).__name__
