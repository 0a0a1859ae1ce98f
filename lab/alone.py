"""A host of its own: no lab around it, and no daemon but those that a test starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .host import Host, HostProcess


def unpacked(name: str) -> Path | None:
    """Find what `scripts/test` has unpacked for the tests; None where it could not be had."""
    found = Path(os.environ.get("ANYCAST_CACHE", "/var/cache/anycast-lab"), name)
    return found if found.is_dir() else None


@contextmanager
def host_alone(name: str) -> Iterator[Host]:
    """Make a host whose only interface is lo, which is up and has nothing but its own addresses."""
    process = HostProcess(name)
    try:
        host = process.wait_until_ready()
        # Each network namespace has its own /sys. Nothing may write there, since a manager would
        # wait for udev otherwise.
        host.run(["mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys"], check=True)
        host.run(["ip", "link", "set", "lo", "up"], check=True)
        yield host
        process.end()
        host.wait_for_started()
    finally:
        process.end()
        process.wait()
