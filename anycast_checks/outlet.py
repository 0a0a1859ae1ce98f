"""Lines for a reader who may be slow, or gone: nothing here waits; standard library only."""

import os
import time

_PATIENCE = 3.0


class ReaderGoneError(Exception):
    """Nobody reads any more."""


class Outlet:
    """Writes lines without ever waiting, and keeps the newest of each kind while it cannot.

    Attributes:
        dropped: how many lines were never written, because a newer one of their kind took their
            place.
    """

    def __init__(self, number: int) -> None:
        """Write to a file descriptor, which does not block from now on; `close` undoes that."""
        self.dropped = 0
        self._number = number
        self._blocked = os.get_blocking(number)
        self._begun = b""
        self._kept: dict[str, bytes] = {}
        self._stuck = 0.0
        os.set_blocking(number, False)

    @property
    def is_waiting(self) -> bool:
        """Whether there are lines that the reader has had no room for."""
        return bool(self._begun)

    def put(self, kind: str, line: bytes) -> None:
        """Write a line now, or as soon as there is room. Raises: ReaderGoneError."""
        self.dropped += self._kept.pop(kind, None) is not None
        self._kept[kind] = line
        self.flush()

    def flush(self) -> None:
        """Write as much as there is room for.

        Raises:
            ReaderGoneError: the reader has gone, or has read nothing for three seconds.
        """
        while self._begun or self._kept:
            if not self._begun:
                self._begun = self._kept.pop(next(iter(self._kept)))
            try:
                written = os.write(self._number, self._begun)
            except BlockingIOError:
                self._wait()
                return
            except OSError as error:
                raise ReaderGoneError(f"cannot write: {error.strerror}") from error
            self._begun = self._begun[written:]
            self._stuck = 0.0

    def close(self) -> None:
        """Let the file descriptor block again, if it did: others may write to it too."""
        os.set_blocking(self._number, self._blocked)

    def _wait(self) -> None:
        now = time.monotonic()
        self._stuck = self._stuck or now
        if now - self._stuck > _PATIENCE:
            raise ReaderGoneError(f"the reader has read nothing for {_PATIENCE:g} s")
