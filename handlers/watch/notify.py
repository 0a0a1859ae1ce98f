"""Telling systemd how the watcher is: a datagram to the socket that it has named (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class Notify:
    """Tells systemd; where it has named no socket, nothing happens."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        name = os.environ.pop("NOTIFY_SOCKET", "")
        if name:
            # A name that begins with "@" is one of the abstract namespace.
            address = "\0" + name[1:] if name.startswith("@") else name
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with suppress(OSError):
                self._socket.connect(address)

    def ready(self) -> None:
        """Say that the watcher has begun, or has read the fleet file anew."""
        self._say("READY=1")

    def reloading(self, monotonic: float) -> None:
        """Say that the fleet file is being read anew."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * 1e6)}")

    def stopping(self) -> None:
        """Say that the watcher ends."""
        self._say("STOPPING=1")

    def alive(self, status: str) -> None:
        """Say that the main loop runs, and how things are, in one line."""
        self._say(f"WATCHDOG=1\nSTATUS={status}")

    def _say(self, text: str) -> None:
        if self._socket:
            with suppress(OSError):
                self._socket.send(text.encode())
