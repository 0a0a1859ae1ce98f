"""The way to an endpoint through a bastion: a tunnel in an SSH connection that all of them share.

The bastion only passes bytes on. The SSH connection to the endpoint is inside the tunnel, with the
endpoint's own host key, so that the bastion can neither read nor change what is sent.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UnreachableError
from ..fleet.values import Endpoint, Jump, Ssh
from .clock import Deadline
from .lean_paramiko import paramiko
from .tunnel import Tunnel, start

if TYPE_CHECKING:
    from .ssh import SshConnection

# Makes the connection to a bastion, and gives up at a deadline.
Connect = Callable[[Endpoint, Ssh, Deadline], "SshConnection"]


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
    give_back = partial(bastion.give_back, connection)
    to, seconds = (endpoint.address, endpoint.port), connecting.left(connecting.seconds)
    try:
        with _refused(jump, endpoint):
            return Tunnel(connection, to, seconds, give_back)
    except UnreachableError:
        give_back()
        raise


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
    start(ask)
    try:
        answer = found.get(timeout=seconds)
    except Empty as error:
        raise TimeoutError from error
    if isinstance(answer, OSError):
        raise answer
    return answer


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
