"""What the watcher knows, for `status --watcher`: on a UNIX socket that its own user alone can use.

A thread keeps the socket in its place, so that the main loop of the watcher never waits for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from anycast_checks.line import clean

from ..board import Board
from ..socket_file import identity, listener, listening

if TYPE_CHECKING:
    from .server import Server

# How often it is looked whether the socket is in its place, in seconds.
AGAIN = 5.0
CLOSING = 1.0
BACKLOG = 16
# A client that neither sends nor reads anything for so many seconds is gone.
SILENT_SECONDS = 5.0
LIMITS = {
    "threads": 1,
    "backlog": BACKLOG,
    "connection_limit": 64,
    "channel_timeout": 5,
    "cleanup_interval": 2,
}


class Offer:
    """Answers at a path from its making on until `close`, as far as that can be.

    Of several watchers with one path the newest answers; when it has ended, one of the others does
    so again.
    """

    def __init__(self, file: str, look: Callable[[], Board], say: Callable[[str], None]) -> None:
        """Answer at a path with what ``look`` gives; ``say`` why, as long as that cannot be."""
        self._file = file
        self._look = look
        self._say = say
        self._said = ""
        self._is_closed = False
        self._wake = threading.Event()
        self._server: Server | None = None
        # Where the socket is that was made last, and which file it is.
        self._at, self._is = "", (0, 0)
        self._keeper = threading.Thread(target=self._keep, name="offer", daemon=True)
        self._keeper.start()

    def move(self, file: str) -> None:
        """Answer at another path from now on."""
        self._file = file
        self._wake.set()

    def close(self) -> None:
        """Answer no longer, and remove the socket, within a second."""
        self._is_closed = True
        self._wake.set()
        self._keeper.join(CLOSING)

    def _keep(self) -> None:
        while not self._is_closed:
            try:
                self._look_after(self._file)
            except ImportError as error:
                what = f"that needs the Python package {error.name}"
                self._say_once(f"{what}: pip install 'anycast-checks[watch]'")
                return
            except OSError as error:
                # The directory may be missing, or no descriptor be free for a moment.
                self._say_once(f"{self._file}: {error.strerror or error}")
            self._wake.wait(AGAIN)
            self._wake.clear()
        self._end()

    def _look_after(self, file: str) -> None:
        """Have the socket in its place, but for that of a newer watcher."""
        if file != self._at:
            self._end()
        there = identity(file)
        if self._server and there == self._is:
            self._server.drop_silent(SILENT_SECONDS)
            return
        process = listener(file) if there else None
        if self._server and process is not None:
            self._say_once(f"another watcher{_named(process)} does, which was started later")
            return
        self._end()
        self._open(file, process)

    def _open(self, file: str, before: int | None) -> None:
        from .answers import answering
        from .server import Server

        made = listening(file, BACKLOG)
        self._at, self._is = file, identity(file) or (0, 0)
        try:
            self._server = Server(made, answering(self._look), **LIMITS)
        except OSError:
            made.close()
            raise
        if before is not None:
            what = "answers `status --watcher` from now on, in the place of another watcher"
            self._say(f"{what}{_named(before)}")
        elif self._said:
            self._say("answers `status --watcher` again")
        self._said = ""

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if identity(self._at) == self._is:
            with suppress(OSError):
                os.unlink(self._at)
        server.close()

    def _say_once(self, why: str) -> None:
        if why != self._said:
            self._said = why
            self._say(clean(f"does not answer `status --watcher`: {why}", 400))


def _named(process: int) -> str:
    return f" (process {process})" if process else ""
