"""The one way to write a time, and how long something lasts."""

from __future__ import annotations

import time


def utc(at: float) -> str:
    """Write a time for people, such as 2026-01-31 03:12:04Z.

    It is in UTC, because the hosts, and those who read it, may be in several zones.
    """
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def iso(at: float) -> str:
    """Write a time for programs, such as 2026-01-31T03:12:04.250Z; such texts sort by time."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{text}.{int(at % 1 * 1000):03d}Z"


def lasting(seconds: float) -> str:
    """Write how long something lasts, such as 90 s, 5 m, 3 h or 2 d."""
    for unit, size, smaller in (("d", 86400, 3600), ("h", 3600, 60), ("m", 60, 1)):
        # A time that would be rounded to 120 minutes is written as two hours.
        if seconds >= 2 * size - smaller / 2:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
