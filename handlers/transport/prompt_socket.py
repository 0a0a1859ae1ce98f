"""A socket for SSH connections that avoids two kinds of waiting."""

from __future__ import annotations

import socket
from contextlib import suppress

READ_AHEAD = 16384


class PromptSocket(socket.socket):
    """A TCP socket that acknowledges at once what it has received, and reads ahead.

    After the login sshd tells its keys, and holds back its next answer until that is acknowledged;
    the kernel would take 40 ms for it. It forgets the option by itself, hence each time.

    paramiko receives each packet in two parts. With many sessions at once each call costs more than
    its own time, since the thread then has to wait for the interpreter again.
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
