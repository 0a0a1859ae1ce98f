"""A tunnel in the connection to a bastion: it passes bytes on, and counts the packets of its own.

An endpoint decides in how many packets the bastion brings what it sends. So each tunnel has as many
as a connection of its own would have, and ends alone where its endpoint sends more.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from .clock import SYSTEM_CLOCK
from .lean_paramiko import paramiko
from .prompt_socket import ENDLESS, Packets

if TYPE_CHECKING:
    from .ssh import SshConnection

CHUNK = 32768
# As long as a bastion takes no more, it is asked again after so many seconds.
UNTAKEN_STEP = 0.05
# So many packets may be under way when a bastion hears that a tunnel has ended.
MOST_LATE = 100_000


class Tunnel:
    """A tunnel to another host, until the user of its end closes that.

    Attributes:
        sock: the end that is used.
        distance: the seconds of a round trip through the tunnel.
        overrun: why the tunnel was ended, where the host has sent more than it may; else empty.
    """

    def __init__(
        self,
        connection: SshConnection,
        to: tuple[str, int],
        seconds: float,
        closed: Callable[[], None],
    ) -> None:
        """Open it; ``closed`` is called once, by another thread, when it has ended.

        Raises:
            OSError: no file is left for it.
            paramiko.SSHException, EOFError: as `SshConnection.open_tunnel` does.
        """
        self.overrun = ""
        self._connection = connection
        self._closed = closed
        self._packets = Packets()
        self._is_over = False
        self._late = 0
        self._ends = threading.Semaphore(0)
        began = SYSTEM_CLOCK.monotonic()
        self.sock, self._end = socket.socketpair()
        try:
            self._channel = connection.open_tunnel(to, seconds, self._hear)
        except BaseException:
            self.sock.close()
            self._end.close()
            raise
        self.distance = SYSTEM_CLOCK.monotonic() - began
        for run in (self._from_bastion, self._to_bastion):
            start(self._pumping(run))
        start(self._close)

    def _hear(self, size: int) -> bool:
        """Count a packet of so many bytes; it is dropped where the tunnel has ended.

        It is called by the thread of the connection, which must not wait.
        """
        if self._is_over:
            self._late += 1
            if self._late <= MOST_LATE:
                self._connection.passed_on(size, packets=1)
            return False
        self._connection.passed_on(0, packets=1)
        if self._packets.take():
            return True
        self._connection.passed_on(size)
        self.overrun, self._is_over = ENDLESS, True
        # Both directions end by this.
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        return False

    def _close(self) -> None:
        """Wait until both directions have ended, when neither end is in use any more."""
        self._ends.acquire()
        self._ends.acquire()
        self._end.close()
        # Nobody reads the rest of what has come.
        self._connection.passed_on(len(self._channel.in_buffer))
        self._closed()

    def _from_bastion(self) -> None:
        while data := self._channel.recv(CHUNK):
            self._end.sendall(data)
            self._connection.passed_on(len(data))

    def _to_bastion(self) -> None:
        while data := self._end.recv(CHUNK):
            self._send(data)

    def _send(self, data: bytes) -> None:
        """Send data; raises OSError where the user of the end goes before all of it is taken."""
        gone = select.poll()
        gone.register(self._end, 0)
        while data:
            # A bastion need not take anything, and paramiko would wait for that without end.
            while not self._channel.send_ready():
                if gone.poll(UNTAKEN_STEP * 1000):
                    raise BrokenPipeError
            sent = self._channel.send(data)
            if not sent:
                raise BrokenPipeError
            data = data[sent:]

    def _pumping(self, pump: Callable[[], None]) -> Callable[[], None]:
        """Pass bytes on until one side ends, and end both then."""

        def run() -> None:
            try:
                with suppress(paramiko.SSHException, EOFError, OSError):
                    pump()
            finally:
                self._is_over = True
                with suppress(paramiko.SSHException, EOFError, OSError):
                    self._channel.close()
                with suppress(OSError):
                    self._end.shutdown(socket.SHUT_RDWR)
                self._ends.release()

        return run


def start(run: Callable[[], None]) -> None:
    """Run a function in a thread that keeps nobody from ending."""
    threading.Thread(target=run, daemon=True).start()
