"""A connection to a service, each of whose operations ends in time; standard library only."""

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from .dump import dump
from .errors import (
    CheckError,
    NotTheAnswerError,
    PeerFailedError,
    PeerSilentError,
)

T = TypeVar("T")

_PEER_ERRORS = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENOPROTOOPT,
    errno.EACCES,  # ICMPv6 "administratively prohibited", from a firewall of this host
}
_LARGEST = 65535  # bytes of a datagram
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Target(NamedTuple):
    """Where one try asks, and how long it may take.

    Attributes:
        address: a literal IPv4 or IPv6 address.
        port: port of the service.
        timeout: time limit of the whole try in seconds.
        until: the end of the try, by `time.monotonic`.
        proven: whether the socket must be proven to end on this host.
        noted: list that gets a line for all that is sent and received; None for no transcript.
    """

    address: str
    port: int
    timeout: float
    until: float
    proven: bool = True
    noted: list[str] | None = None

    @property
    def left(self) -> float:
        """Seconds until the try ends."""
        return self.until - time.monotonic()


class Connection:
    """A connected socket; each of its operations fails at the end of the try."""

    def __init__(self, sock: socket.socket, target: Target) -> None:
        self._sock = sock
        self._target = target

    def open(self) -> None:
        """Do what must be done before the first bytes of the service; for plain sockets nothing."""

    def fileno(self) -> int:
        """Return the number of the socket, for `select`."""
        return self._sock.fileno()

    @property
    def own_address(self) -> str:
        """The address of this side. Raises: PeerFailedError."""
        with _mapping("no connection", self._target):
            return str(self._sock.getsockname()[0])

    def close(self) -> None:
        """Close the socket, and ignore an error of the peer."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def send(self, data: bytes, *, secret: bool = False) -> None:
        """Send all of the data. Raises: PeerFailedError, PeerSilentError.

        Args:
            data: any bytes.
            secret: whether the transcript must not show the data.
        """
        self._note(">", b"(not shown)" if secret else data)
        with self._bounded("nothing sent"):
            self._sock.sendall(data)

    def send_at_once(self, data: bytes) -> None:
        """Send a datagram without waiting for room. Raises: PeerFailedError, PeerSilentError."""
        self._note(">", data)
        try:
            self._sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError as error:
            raise PeerSilentError("no room to send") from error
        except OSError as error:
            raise mapped(error, "nothing sent", self._target) from error

    def receive(self, limit: int = _LARGEST) -> bytes:
        """Return one datagram, or the next bytes of a stream (no bytes at its end).

        Raises: PeerFailedError, PeerSilentError.
        """
        with self._bounded("no answer"):
            data = self._sock.recv(limit)
        self._note("<", data)
        return data

    def peek(self) -> bytes | None:
        """Return the datagram that `receive` returns next, without waiting; None if there is none.

        Raises: PeerFailedError.
        """
        try:
            return self._sock.recv(_LARGEST, _PEEK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise mapped(error, "no answer", self._target) from error

    def receive_answer(self, read: Callable[[bytes], T]) -> T:
        """Return what ``read`` makes of the first datagram that is the answer.

        Anybody can send a datagram, so a wrong one is no reason to stop waiting for the right one.

        Args:
            read: function that reads a datagram, and raises NotTheAnswerError for a wrong one.

        Raises: PeerFailedError, PeerSilentError.
        """
        ignored = ""
        while True:
            try:
                data = self.receive()
            except PeerSilentError as error:
                if ignored:
                    raise PeerFailedError(f"{error}, ignored: {ignored}") from error
                raise
            try:
                return read(data)
            except NotTheAnswerError as error:
                ignored = str(error)

    def receive_exactly(self, size: int) -> bytes:
        """Return exactly so many bytes of a stream. Raises: PeerFailedError, PeerSilentError."""
        data = b""
        while len(data) < size:
            more = self.receive(size - len(data))
            if not more:
                raise PeerFailedError(f"connection closed after {len(data)} of {size} bytes")
            data += more
        return data

    def finish_connecting(self) -> None:
        """Wait until the connection is established. Raises: PeerFailedError, PeerSilentError."""
        with self._bounded("no connection") as left:
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT)
            if not poll.poll(left * 1000):
                raise TimeoutError
            status = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if status:
                raise OSError(status, os.strerror(status))

    def _note(self, direction: str, data: bytes) -> None:
        if self._target.noted is not None:
            self._target.noted.extend(f"{direction} {line}" for line in dump(data))

    @contextlib.contextmanager
    def _bounded(self, failure: str) -> Iterator[float]:
        with _mapping(failure, self._target):
            left = self._target.left
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            yield left


@contextlib.contextmanager
def _mapping(failure: str, target: Target) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise mapped(error, failure, target) from error


def mapped(error: OSError, failure: str, target: Target) -> Exception:
    """Return the error that says what an error of a socket means for a check."""
    # The kernel's own ETIMEDOUT is a TimeoutError too. The peer is silent in both cases.
    if isinstance(error, TimeoutError):
        return PeerSilentError(f"{failure} within {target.timeout:g} s")
    reason = (error.strerror or str(error)).lower()
    if error.errno in _PEER_ERRORS:
        return PeerFailedError(reason)
    return CheckError(f"cannot talk to {target.address} port {target.port}: {reason}")
