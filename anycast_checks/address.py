"""Whether an address is on this host, and sockets that prove it; standard library only.

A socket that is connected to an address of this host gets that same address as its own source
address; a socket that is connected to any other address does not. So the very socket that carries
the probe carries the proof, without a privilege, an extra process or a race.
"""

import contextlib
import enum
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
    NotLocalError,
    NotTheAnswerError,
    PeerFailedError,
    PeerSilentError,
)
from .local_route import is_draining

T = TypeVar("T")

_NO_ROUTE = {
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.EADDRNOTAVAIL,  # IPv6 without any address
    errno.EINVAL,  # a blackhole route
    # A prohibit route or rule. A security module may say the same, but of every address: then the
    # instance address is not local either, and the check is UNKNOWN.
    errno.EACCES,
}
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
_ANY_PORT = 9  # connecting a UDP socket sends nothing, so any port will do


class Locality(enum.Enum):
    """Whether an address is on this host."""

    LOCAL = "local"
    NOT_LOCAL = "not local"
    # Only by the route of a planned withdrawal: the address has left its interface.
    DRAINING = "draining"
    UNKNOWN = "cannot tell"


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
        with _mapped("no connection", self._target):
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
        with _mapped("no answer", self._target):
            self._sock.settimeout(0)
            try:
                return self._sock.recv(_LARGEST, socket.MSG_PEEK)
            except BlockingIOError:
                return None

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
        with _mapped(failure, self._target):
            left = self._target.left
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            yield left


@contextlib.contextmanager
def connect(
    target: Target,
    kind: socket.SocketKind,
    make: Callable[[socket.socket, Target], Connection] = Connection,
    source: str = "",
) -> Iterator[Connection]:
    """Open a UDP or TCP connection that is proven to end on this host before anything is sent.

    Args:
        target: the address and port to connect to.
        kind: kind of socket, for UDP or TCP.
        make: function that makes the connection of a socket, such as one that speaks TLS.
        source: a loopback address to ask from, as another client. Nothing that comes from such an
            address leaves this host, so that it is a proof too.

    Raises:
        NotLocalError: the address is not on this host, and the target asks for a proof.
        PeerFailedError, PeerSilentError: the peer did not accept the connection.
        CheckError: no socket could be opened, or nothing shows whether the address is local.
    """
    # A TCP socket gets its own address only by sending a packet. A UDP socket gets it without, so
    # another one finds out first.
    proves_itself = target.proven and kind == socket.SOCK_DGRAM and not source
    if target.proven and not proves_itself:
        require_local(target.address)
    with (
        _socket_for(target, kind, proves_itself=proves_itself) as sock,
        contextlib.closing(make(sock, target)) as connection,
    ):
        sock.settimeout(0)
        with _mapped("no connection", target):
            if source:
                sock.bind((source, 0))
            status = sock.connect_ex((target.address, target.port))
            name = sock.getsockname()[0]
            if proves_itself and not _is_proof(status, name, target.address):
                require_local(target.address)
            if status == errno.EACCES:
                # A firewall would answer later, so a security module of this host has refused.
                raise CheckError(f"cannot talk to {target.address} port {target.port}: forbidden")
            if status not in (0, errno.EINPROGRESS):
                raise OSError(status, os.strerror(status))
        if target.proven and not _same(name, source or target.address):
            raise NotLocalError(target.address)
        if status == errno.EINPROGRESS:
            connection.finish_connecting()
        connection.open()
        yield connection


def _is_proof(status: int, name: str, address: str) -> bool:
    """Tell whether a UDP socket that was connected so is proven to end on this host."""
    return status == 0 and _same(name, address) and not is_draining(address)


def locality(address: str) -> Locality:
    """Tell whether the literal address is on this host; nothing is sent."""
    return _look(address)[0]


def is_ipv6(address: str) -> bool:
    """Tell whether a literal address is one of IPv6."""
    return ":" in address


def require_local(address: str) -> None:
    """Raise NotLocalError if the address is not on this host, CheckError if nothing shows it."""
    found, reason = _look(address)
    if found is Locality.UNKNOWN:
        raise CheckError(f"cannot tell whether {address} is on this host: {reason}")
    if found in (Locality.NOT_LOCAL, Locality.DRAINING):
        raise NotLocalError(address)


def _look(address: str) -> tuple[Locality, str]:
    found, reason = _look_at_name(address)
    # A host answers on such an address of IPv6 as well, but gives its own sockets another name.
    if found in (Locality.LOCAL, Locality.NOT_LOCAL) and is_draining(address):
        return Locality.DRAINING, reason
    return found, reason


def _look_at_name(address: str) -> tuple[Locality, str]:
    try:
        with _socket(address, socket.SOCK_DGRAM) as sock:
            sock.connect((address, _ANY_PORT))
            name = sock.getsockname()[0]
    except CheckError as error:
        return Locality.UNKNOWN, str(error)
    except OSError as error:
        found = Locality.NOT_LOCAL if error.errno in _NO_ROUTE else Locality.UNKNOWN
        return found, (error.strerror or str(error)).lower()
    return (Locality.LOCAL if _same(name, address) else Locality.NOT_LOCAL), name


def _socket(address: str, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if is_ipv6(address) else socket.AF_INET
    try:
        return socket.socket(family, kind)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckError(f"cannot open a socket: {reason}") from error


def _socket_for(target: Target, kind: socket.SocketKind, *, proves_itself: bool) -> socket.socket:
    try:
        return _socket(target.address, kind)
    except CheckError:
        if proves_itself:
            # Its error says what cannot be told without a socket.
            require_local(target.address)
        raise


def _same(name: str, address: str) -> bool:
    if is_ipv6(name) or is_ipv6(address):
        family = socket.AF_INET6
        return socket.inet_pton(family, name) == socket.inet_pton(family, address)
    # All of 127.0.0.0/8 is on this host, and has the source address 127.0.0.1.
    return name == address or (name.startswith("127.") and address.startswith("127."))


@contextlib.contextmanager
def _mapped(failure: str, target: Target) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        # The kernel's own ETIMEDOUT is a TimeoutError too. The peer is silent in both cases.
        raise PeerSilentError(f"{failure} within {target.timeout:g} s") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in _PEER_ERRORS:
            raise PeerFailedError(reason) from error
        place = f"{target.address} port {target.port}"
        raise CheckError(f"cannot talk to {place}: {reason}") from error
