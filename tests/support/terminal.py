"""A terminal of 24 lines of 80 characters, and what a program shows there."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

COLUMNS, LINES = 80, 24


def on_terminal(argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Run a program that is to end with 0; give the lines that it prints, long ones unbroken."""
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def see() -> None:
        # The terminal fails once nobody has its other side open.
        with suppress(OSError):
            while read := os.read(ours, 65536):
                seen.append(read)

    reader = threading.Thread(target=see)
    reader.start()
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    ended = subprocess.run(argv, stdout=theirs, env={**environment, **size}, check=False)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert ended.returncode == 0, seen
    return b"".join(seen).decode().splitlines()


def rows(lines: Sequence[str]) -> int:
    """Count the lines of the terminal that these take."""
    return sum(max(1, -(-len(line) // COLUMNS)) for line in lines)
