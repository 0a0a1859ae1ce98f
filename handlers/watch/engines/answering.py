"""A TLS socket on which an answer has to be short, and to be there in time.

The standard library's http.client bounds each line and each step, and neither all lines nor all
steps: a server could go on with answers before the answer, or with a byte now and then.
"""

from __future__ import annotations

import errno
import ssl
import time
from typing import Any


class AnsweringSocket(ssl.SSLSocket):
    """A socket whose peer is bounded from the last call of `ask` on."""

    _bytes_left = 0
    _until = 0.0

    def ask(self, most: int, seconds: float) -> None:
        """Let the peer say so many bytes, within so many seconds."""
        self._bytes_left, self._until = most, time.monotonic() + seconds
        self.settimeout(seconds)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive as usual. Raises: OSError, where that is too much or too late."""
        if self._bytes_left <= 0:
            raise OSError(errno.EMSGSIZE, "it says more than an answer")
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self.settimeout(seconds)
        size = super().recv_into(buffer, nbytes, flags)
        self._bytes_left -= size
        return size
