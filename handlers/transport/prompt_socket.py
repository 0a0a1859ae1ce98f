"""A socket for SSH connections: it avoids two kinds of waiting, and bounds what a peer sends."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .tunnel import Tunnel

READ_AHEAD = 16384
# OpenSSH sends no larger packet, and takes none.
LARGEST_PACKET = 256 * 1024
# Bytes that a peer may send before the first command: banners, key exchange, login.
LOGIN_BYTES = 256 * 1024
# Bytes that a peer may send for the commands that run there at one time.
MOST_KEPT = 8_000_000
# Bytes that all peers together may send for theirs. Beyond them, a peer that has sent more than its
# share is too much; the share is enough for a long answer.
MOST_IN_ALL, SHARE = 16_000_000, 1_200_000
# Packets of a peer on a connection that is kept, which may be empty: so many at once, and so many a
# second. A stream has some fifty a second while its service fails, and a long answer a few hundred.
MOST_PACKETS, PACKETS_A_SECOND = 10_000, 1_000
# paramiko reads a packet in two parts.
READS = 2
# So many bytes are around those of a packet of a tunnel, with a share of the messages about it.
AROUND = 256
TOO_MUCH, ENDLESS = "it sent more than it may", "it sent packets without end"
SAID_FIRST = 400
# Where a round trip takes longer, it is not waited for.
LONGEST_DISTANCE = 2.0
# paramiko's thread looks around after this time without data. Its own time, a tenth of a second,
# costs more than all that comes on a thousand connections.
IDLE_SECONDS = 5.0
# How long a peer may take to acknowledge data on a connection that is kept.
UNACKNOWLEDGED_SECONDS = 10.0
# Of tcp_info: after how many microseconds a packet counts as lost, the smoothed time of a round
# trip in microseconds, and how many packets were sent again.
_TCP_INFO = struct.Struct("=8xI56xI28xI")
# linux/tcp.h: on a connection with few packets under way, a packet that is lost again and again is
# sent at equal intervals, and not each time after twice the time.
_THIN_LINEAR_TIMEOUTS = 16


class Packets:
    """Counts packets: so many may come at once, and so many a second. One thread takes them."""

    def __init__(self) -> None:
        """Begin with as many as may come at once."""
        self._left = float(MOST_PACKETS)
        self._at = time.monotonic()

    def take(self, number: float = 1.0) -> bool:
        """Count so many; whether they may come."""
        now = time.monotonic()
        more = (now - self._at) * PACKETS_A_SECOND
        self._at = now
        self._left = min(self._left + more, MOST_PACKETS) - number
        return self._left >= 0

    def give_back(self, number: float) -> None:
        """Do not count so many any more."""
        self._left += number


class PromptSocket(socket.socket):
    """A TCP socket that acknowledges at once what it has received, and reads ahead.

    After the login sshd sends its host keys, and holds back its next answer until they are
    acknowledged, for which the kernel would otherwise take 40 ms. The kernel drops the option by
    itself, so it is set after each read.

    Reading ahead saves calls: paramiko receives each packet in two parts, and with many sessions at
    once a thread has to wait for the interpreter again after each call.

    paramiko keeps whatever a peer sends, also what the peer was not allowed to send. So the socket
    counts what it has received and nobody has released yet. Where the connection is kept, it counts
    the packets too: each costs CPU, that of an empty one included.

    Attributes:
        said_first: the beginning of what the peer has sent.
        overrun: why the connection was ended, where the peer has sent more than it may; else empty.
    """

    _in_all: ClassVar[int] = 0
    _counting: ClassVar[threading.Lock] = threading.Lock()
    _ahead = b""
    _kept = 0
    _most = LOGIN_BYTES
    _packets: Packets | None = None
    said_first = b""
    overrun = ""

    def __init__(self, fileno: int, tunnel: Tunnel | None = None) -> None:
        """Take a socket that is connected, be it by a tunnel."""
        super().__init__(fileno=fileno)
        self._tunnel = tunnel
        with suppress(OSError):
            # A request is a few small packets, each of which waits for the answer to the one
            # before.
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.setsockopt(socket.IPPROTO_TCP, _THIN_LINEAR_TIMEOUTS, 1)

    @property
    def distance(self) -> float:
        """The time of a round trip to the peer in seconds, as the kernel measures it.

        Where packets are lost on the way, the time after which one is sent again is part of it.
        """
        if self._tunnel:
            return min(self._tunnel.distance, LONGEST_DISTANCE)
        try:
            told = self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            again_after, round_trip, sent_again = _TCP_INFO.unpack(told)
        except (OSError, struct.error):
            return 0.0
        seconds = float(round_trip + (again_after if sent_again else 0)) / 1e6
        return min(seconds, LONGEST_DISTANCE)

    def allow_commands(self) -> None:
        """Let the peer send what commands print: it has logged in."""
        self._most = MOST_KEPT

    def keep(self) -> None:
        """Prepare for a connection that is idle for long, and end it where the peer has gone."""
        self._packets = Packets()
        with suppress(OSError):
            self.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED_SECONDS * 1000)
            )

    def shut(self) -> None:
        """End the connection at once, also for a thread that is waiting for data."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Begin to count anew: what the peer has sent is no longer kept."""
        with PromptSocket._counting:
            PromptSocket._in_all -= self._kept
            self._kept = 0

    def passed_on(self, size: int, packets: int = 0) -> None:
        """Do not count so many bytes and packets any more, which are those of a tunnel.

        The tunnel counts its packets, and its end counts the bytes that have gone on to it. Only
        the thread that receives may call this with packets.
        """
        with PromptSocket._counting:
            taken = min(self._kept, size + packets * AROUND)
            PromptSocket._in_all -= taken
            self._kept -= taken
        if packets and self._packets:
            self._packets.give_back(packets)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive as usual. Raises: OSError, where the peer sends more than it may."""
        if bufsize > LARGEST_PACKET:
            raise self._ended(TOO_MUCH, f"it began a packet of {bufsize} bytes")
        if not self._ahead:
            self._ahead = super().recv(max(bufsize, READ_AHEAD), flags)
            with suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            self._count(self._ahead)
        if self._packets and not self._packets.take(1 / READS):
            raise self._ended(ENDLESS)
        data, self._ahead = self._ahead[:bufsize], self._ahead[bufsize:]
        return data

    def _count(self, data: bytes) -> None:
        if len(self.said_first) < SAID_FIRST:
            self.said_first = (self.said_first + data)[:SAID_FIRST]
        with PromptSocket._counting:
            self._kept += len(data)
            PromptSocket._in_all += len(data)
            crowded = PromptSocket._in_all > MOST_IN_ALL and self._kept > SHARE
        if crowded or self._kept > self._most:
            raise self._ended(TOO_MUCH)
        if not data and self._tunnel and self._tunnel.overrun:
            raise self._ended(self._tunnel.overrun)

    def _ended(self, overrun: str, why: str = "") -> OSError:
        self.overrun = overrun
        return OSError(errno.EMSGSIZE, why or overrun)
