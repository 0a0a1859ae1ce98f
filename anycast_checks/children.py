"""The programs that run now for this process, so that it leaves none behind when it ends.

A check that runs no program need not import what can run one, so this is apart from `program`.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator


class Children:
    """Process groups of programs, each by the process at its head."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._are_over = False

    @contextlib.contextmanager
    def starting(self) -> Iterator[set[int]]:
        """Yield the set to which a program is added that is started within the block.

        After `kill` for good the thread that wants to start one ends here.
        """
        with self._lock:
            if self._are_over:
                raise SystemExit
            yield self._groups

    def remove(self, group: int) -> None:
        """Take off a program that has ended."""
        with self._lock:
            self._groups.discard(group)

    def kill(self, *, for_good: bool) -> None:
        """Kill the programs that run, with what they have started.

        Args:
            for_good: whether this process ends, and no thread may start another program.
        """
        with self._lock:
            self._are_over = self._are_over or for_good
            for group in self._groups:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)


CHILDREN = Children()
