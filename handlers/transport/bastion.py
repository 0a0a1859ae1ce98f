"""The way to an endpoint through a bastion: a tunnel in an SSH connection that all of them share.

The bastion only passes bytes on. The SSH connection to the endpoint is inside the tunnel, with the
endpoint's own host key, so that the bastion can neither read nor change what is sent.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UnreachableError
from ..fleet.values import Endpoint, Jump, Ssh
from .clock import SYSTEM_CLOCK, Deadline
from .lean_paramiko import paramiko

if TYPE_CHECKING:
    from .ssh import SshConnection

CHUNK = 32768
# As long as a bastion takes no more, it is asked again after so many seconds.
UNTAKEN_STEP = 0.05
# Makes the connection to a bastion, and gives up at a deadline.
Connect = Callable[[Endpoint, Ssh, Deadline], "SshConnection"]


class Tunnel(NamedTuple):
    """One end of a tunnel, and the seconds of a round trip through it."""

    sock: socket.socket
    distance: float


class _Key(NamedTuple):
    jump: Jump
    ssh: Ssh


class _Bastion:
    """The connection to one bastion, while any tunnel in it is open."""

    def __init__(self, key: _Key, connect: Connect) -> None:
        self._key = key
        self._connect = connect
        self._connecting = threading.Lock()
        self._lock = threading.Lock()
        self._connection: SshConnection | None = None
        self._tunnels = 0

    def borrow(self, deadline: Deadline) -> SshConnection:
        """Give the connection; open it where it is not open, for all who come meanwhile."""
        jump, ssh = self._key
        if not self._connecting.acquire(timeout=deadline.left(deadline.seconds)):
            raise UnreachableError(f"{jump}: a login that was begun before has not ended")
        try:
            with self._lock:
                connection = self._connection
                if connection is not None and connection.is_open:
                    self._tunnels += 1
                    return connection
            if connection is not None:
                connection.close()
            host = Endpoint(jump.host, jump.host, jump.port)
            login = ssh._replace(user=jump.user or ssh.user)
            made = self._connect(host, login, deadline)
            with self._lock:
                self._connection, self._tunnels = made, 1
            return made
        finally:
            self._connecting.release()

    def give_back(self, connection: SshConnection) -> None:
        """Close the connection with the last tunnel in it."""
        with self._lock:
            if connection is not self._connection:
                return
            self._tunnels -= 1
            if self._tunnels:
                return
            self._connection = None
        connection.close()


# A bastion lets a few logins begin at a time (MaxStartups), and a pool may be behind one. So all
# connections of this process share theirs.
_bastions: dict[_Key, _Bastion] = {}
_knowing = threading.Lock()


def open_tunnel(
    jump: Jump, endpoint: Endpoint, ssh: Ssh, connecting: Deadline, connect: Connect
) -> Tunnel:
    """Open a tunnel to the sshd of an endpoint.

    Raises:
        UnreachableError: the bastion does not answer, or does not get to the endpoint.
        RejectedError: the bastion refuses the login, or shows a key that is not pinned.
    """
    key = _Key(jump, ssh)
    with _knowing:
        bastion = _bastions.setdefault(key, _Bastion(key, connect))
    connection = bastion.borrow(connecting)
    try:
        with _refused(jump, endpoint):
            began = SYSTEM_CLOCK.monotonic()
            seconds = connecting.left(connecting.seconds)
            channel = connection.open_tunnel((endpoint.address, endpoint.port), seconds)
            distance = SYSTEM_CLOCK.monotonic() - began
            ours, theirs = socket.socketpair()
    except UnreachableError:
        bastion.give_back(connection)
        raise
    ends = threading.Semaphore(0)

    def close() -> None:
        # Both directions have ended, and neither end is in use any more.
        ends.acquire()
        ends.acquire()
        theirs.close()
        bastion.give_back(connection)

    def from_bastion() -> None:
        while data := channel.recv(CHUNK):
            theirs.sendall(data)
            connection.passed_on(len(data))

    def to_bastion() -> None:
        while data := theirs.recv(CHUNK):
            _send(channel, data, theirs)

    for pump in (from_bastion, to_bastion):
        _start(_pumping(pump, channel, theirs, ends))
    _start(close)
    return Tunnel(ours, distance)


def look_up(host: str, seconds: float) -> str:
    """Find the address of a bastion, which its name may stand for.

    Raises:
        TimeoutError: the name servers did not answer in time; they may be what has failed.
        OSError: there is no such host.
    """
    found: SimpleQueue[str | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found.put(str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(f"{host} is no name"))

    # The library has no time limit for it.
    _start(ask)
    try:
        answer = found.get(timeout=seconds)
    except Empty as error:
        raise TimeoutError from error
    if isinstance(answer, OSError):
        raise answer
    return answer


def _send(channel: paramiko.Channel, data: bytes, theirs: socket.socket) -> None:
    """Send data; raises OSError where whoever uses the tunnel goes before all of it is taken."""
    gone = select.poll()
    gone.register(theirs, 0)
    while data:
        # A bastion need not take anything, and paramiko would wait for that without end.
        while not channel.send_ready():
            if gone.poll(UNTAKEN_STEP * 1000):
                raise BrokenPipeError
        sent = channel.send(data)
        if not sent:
            raise BrokenPipeError
        data = data[sent:]


def _start(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()


def _pumping(
    pump: Callable[[], None],
    channel: paramiko.Channel,
    theirs: socket.socket,
    ends: threading.Semaphore,
) -> Callable[[], None]:
    """Pass bytes on until one side ends, and end both then."""

    def run() -> None:
        try:
            with suppress(paramiko.SSHException, EOFError, OSError):
                pump()
        finally:
            with suppress(paramiko.SSHException, EOFError, OSError):
                channel.close()
            with suppress(OSError):
                theirs.shutdown(socket.SHUT_RDWR)
            ends.release()

    return run


@contextmanager
def _refused(jump: Jump, endpoint: Endpoint) -> Iterator[None]:
    """Say which of the two it was where a tunnel cannot be opened."""
    to = f"{jump}: no tunnel to {endpoint.address} port {endpoint.port}"
    try:
        yield
    except paramiko.ChannelException as error:
        if error.code == _PROHIBITED:
            remedy = "let the key forward ports there (AllowTcpForwarding, permitopen)"
            raise UnreachableError(f"{to}: the bastion forbids it", remedy) from error
        raise UnreachableError(f"{to}: {error.text or 'the bastion cannot connect'}") from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        said = isinstance(error, OSError) and error.strerror
        raise UnreachableError(f"{to}: {said or error or 'the connection was lost'}") from error


# RFC 4254, section 5.1, defines this reason for a refusal.
_PROHIBITED = 1
