"""A socket for SSH connections that avoids two kinds of waiting."""

from __future__ import annotations

import socket
from contextlib import suppress

READ_AHEAD = 16384


class PromptSocket(socket.socket):
    """A TCP socket that acknowledges at once what it has received, and reads ahead.

    After the login sshd sends its host keys, and holds back its next answer until they are
    acknowledged, for which the kernel would otherwise take 40 ms. The kernel drops the option by
    itself, so it is set after each read.

    Reading ahead saves calls: paramiko receives each packet in two parts, and with many sessions at
    once a thread has to wait for the interpreter again after each call.
    """

    _ahead = b""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive as usual."""
        if not self._ahead:
            self._ahead = super().recv(max(bufsize, READ_AHEAD), flags)
            with suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data, self._ahead = self._ahead[:bufsize], self._ahead[bufsize:]
        return data
