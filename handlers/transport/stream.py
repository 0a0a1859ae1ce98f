"""The lines of a command that goes on, over SSH and on this host."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ..errors import CommandFailedError, UnreachableError
from .clock import SYSTEM_CLOCK, Deadline
from .shell import LONGEST_LINE

_CHUNK = 16384


class Lines:
    """Cuts the output of a command into lines, in whatever pieces it arrives, and bounds them."""

    def __init__(self, argv: Sequence[str], receive: Callable[[float], bytes]) -> None:
        """Take bytes from ``receive``.

        It is given the seconds to wait, returns no bytes at the end of the output, and raises
        TimeoutError where nothing came in time.
        """
        self._argv = tuple(argv)
        self._receive = receive
        self._kept = b""

    def read(self, timeout: float) -> str | None:
        """Wait for the next line; see Stream.read_line."""
        deadline = Deadline(SYSTEM_CLOCK, timeout)
        while b"\n" not in self._kept:
            if len(self._kept) > LONGEST_LINE:
                why = f"said a line of more than {LONGEST_LINE} bytes"
                raise CommandFailedError(self._argv, -1, why)
            if deadline.passed:
                raise TimeoutError
            more = self._receive(deadline.left(timeout))
            if not more:
                return None
            self._kept += more
        line, _, self._kept = self._kept.partition(b"\n")
        return line.decode(errors="replace")


class LocalStream:
    """A command that goes on, on this host; closing the stream ends it."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the command. Raises: UnreachableError, where it cannot be started."""
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            raise UnreachableError(f"cannot run {argv[0]}: {error.strerror}") from error
        assert self._process.stdout is not None
        self._number = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._number, select.POLLIN)
        self._lines = Lines(argv, self._receive)

    def read_line(self, timeout: float) -> str | None:
        """Wait for the next line; see Stream."""
        return self._lines.read(timeout)

    def close(self) -> None:
        """Stop listening, and end the command."""
        self._process.terminate()
        assert self._process.stdout is not None
        self._process.stdout.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)

    def _receive(self, seconds: float) -> bytes:
        if not self._poll.poll(seconds * 1000):
            raise TimeoutError
        return os.read(self._number, _CHUNK)
