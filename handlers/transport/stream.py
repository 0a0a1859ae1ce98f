"""The lines of a command that goes on, over SSH and on this host."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ..errors import UnreachableError
from .shell import LONGEST_LINE, Hear

_CHUNK = 16384
# A command that is told to end gets so long.
ENDING_SECONDS = 1.0


class Lines:
    """Cuts what a command prints into lines, in whatever pieces it comes, and hands them on.

    Attributes:
        trouble: why the lines have ended before the command; empty where they have not.
    """

    def __init__(self, hear: Hear) -> None:
        """Hand lines on to ``hear``, and None once after the last."""
        self._hear = hear
        self._kept = b""
        self._ended = False
        self.trouble = ""

    def feed(self, data: bytes) -> None:
        """Take what the command has printed; no bytes at the end."""
        if self._ended:
            return
        *lines, self._kept = (self._kept + data).split(b"\n")
        for line in lines:
            self._hear(line.decode(errors="replace"))
        if len(self._kept) > LONGEST_LINE:
            self.trouble = f"it said a line of more than {LONGEST_LINE} bytes"
        if not data or self.trouble:
            self._ended, self._kept = True, b""
            self._hear(None)


class LocalStream:
    """A command that goes on, on this host; closing the stream ends it."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], hear: Hear) -> None:
        """Start the command. Raises: UnreachableError, where it cannot be started."""
        self._lines = Lines(hear)
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
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def trouble(self) -> str:
        """Say why nothing more comes; see Stream."""
        return self._lines.trouble

    def close(self) -> None:
        """Stop listening, and end the command."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_SECONDS)
        # It may not want to end, or have left something behind that holds its output open.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while data := output.read1(_CHUNK):  # type: ignore[attr-defined]
                self._lines.feed(data)
        self._lines.feed(b"")
        self._process.wait()
