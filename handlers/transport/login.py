"""The way to a login over SSH: a socket, the banner, and a host key that is pinned."""

from __future__ import annotations

import select
import socket

from anycast_checks.line import clean

from ..errors import RejectedError, UnreachableError
from ..fleet.values import Endpoint
from .bastion import Connect, look_up, open_tunnel
from .bounded import DEAR_EXCHANGES, BoundedTransport
from .clock import Deadline
from .keys import RENEW, PinnedKeys
from .known_hosts import name_of
from .lean_paramiko import paramiko
from .login_files import LoginFiles
from .prompt_socket import PromptSocket
from .shell import with_distance

CONNECT_SECONDS = 5.0
# With `UseDNS yes`, sshd waits 16 s for a resolver on its own host that hangs.
HANDSHAKE_SECONDS = 18.0
LARGEST_ERROR = 200


class Login:
    """One login to a host; its steps are taken in the order in which they stand here.

    Attributes:
        transport: is logged in after the last step, and None before it.
        where: names the host in messages.
    """

    def __init__(
        self, endpoint: Endpoint, files: LoginFiles, connecting: Deadline, *, is_bastion: bool
    ) -> None:
        """Read the identity and the known hosts.

        A missing file is noticed before any socket is opened, so that the endpoint does not pass
        for unreachable.

        Args:
            endpoint: the host.
            files: the account, its key, and the file of known hosts.
            connecting: the deadline by which the login has to be complete.
            is_bastion: the host is no endpoint.
        """
        way = f" through {endpoint.jump}" if endpoint.jump else ""
        self.where = f"{endpoint.address} port {endpoint.port}{way}"
        self._endpoint, self._ssh, self._connecting = endpoint, files.ssh, connecting
        self._is_bastion = is_bastion
        self._identity, known_hosts = files.read()
        self._pinned = PinnedKeys(
            self._ssh.known_hosts, known_hosts, name_of(endpoint), endpoint.address, self.where
        )
        self.transport: BoundedTransport | None = None

    def connect(self, to_bastion: Connect) -> PromptSocket:
        """Connect by TCP, or by a tunnel through the endpoint's bastion.

        Raises:
            UnreachableError: there is no connection in time.
            RejectedError: the bastion refuses the login, or shows a key that is not pinned.
        """
        # How long a bastion takes, which may open many tunnels, says nothing of the endpoint.
        if self._endpoint.jump:
            self._connecting.heard()
        sock = self._connect(to_bastion)
        self._connecting.heard()
        return sock

    def _connect(self, to_bastion: Connect) -> PromptSocket:
        endpoint = self._endpoint
        if endpoint.jump:
            tunnel = open_tunnel(endpoint.jump, endpoint, self._ssh, self._connecting, to_bastion)
            return PromptSocket(tunnel.sock.detach(), tunnel)
        seconds = self._connecting.left(CONNECT_SECONDS)
        try:
            address = look_up(endpoint.address, seconds) if self._is_bastion else endpoint.address
            sock = socket.create_connection((address, endpoint.port), seconds)
        except TimeoutError as error:
            raise UnreachableError(f"{self.where}: no connection within {seconds:.1f} s") from error
        except OSError as error:
            raise UnreachableError(f"{self.where}: {say(error)}") from error
        return PromptSocket(sock.detach())

    @property
    def expiring(self) -> str:
        """Say when the certificate of the host expires, if soon; else empty."""
        return self._pinned.expiring

    def seconds(self, sock: PromptSocket) -> float:
        """Give the seconds that a step may take from now on."""
        return self._connecting.left(with_distance(HANDSHAKE_SECONDS, sock.distance))

    def await_banner(self, sock: PromptSocket) -> None:
        """Wait until the server speaks, which an SSH server does first.

        A server that never speaks must take neither a turn nor a thread of paramiko.

        Raises:
            UnreachableError: it says nothing in time.
        """
        seconds = self.seconds(sock)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise UnreachableError(f"{self.where}: no SSH banner within {seconds:.1f} s")

    def log_in(self, sock: PromptSocket, seconds: float) -> None:
        """Exchange keys, and log in.

        Raises:
            UnreachableError: the server does not speak SSH, or not to the end.
            RejectedError: the host key is not pinned, or the login was refused.
        """
        ssh = self._ssh
        try:
            self.transport = transport = self._pinned.transport(
                sock, {"kex": list(DEAR_EXCHANGES), "keys": self._pinned.other_kinds}
            )
            transport.banner_timeout = transport.auth_timeout = seconds
            transport.start_client(timeout=seconds)
            self._pinned.accept(transport.get_remote_server_key())
            if transport.auth_publickey(ssh.user, self._identity.key):
                raise paramiko.AuthenticationException("it wants more than a key")
        except paramiko.ssh_exception.IncompatiblePeer as error:
            why = f"{self.where}: {say(error)}; known_hosts is {ssh.known_hosts}"
            raise RejectedError(why) from error
        except (paramiko.SSHException, EOFError, OSError, ValueError) as error:
            # paramiko decodes what the server says of itself, which may be no text.
            raise self._failed(sock, error) from error

    def _failed(self, sock: PromptSocket, error: Exception) -> UnreachableError | RejectedError:
        if sock.overrun:
            return UnreachableError(f"{self.where}: {sock.overrun} before the login had ended")
        transport = self.transport
        if transport is None or not transport.remote_version:
            # sshd says in a line of text, instead of its banner, why it lets nobody in at present.
            said = clean(sock.said_first.decode(errors="replace"), LARGEST_ERROR)
            why = f'it said "{said}"' if said else say(error)
            return UnreachableError(f"{self.where}: no SSH banner: {why}")
        if not transport.initial_kex_done:
            return UnreachableError(f"{self.where}: the key exchange failed: {say(error)}")
        refused = isinstance(error, paramiko.AuthenticationException)
        if refused and "timeout" not in str(error).lower() and transport.is_active():
            return self._refused()
        return UnreachableError(f"{self.where}: the login did not end: {say(error)}")

    def _refused(self) -> RejectedError:
        ssh = self._ssh
        what = f"{self.where}: login as {ssh.user} with {ssh.identity} was refused"
        if self._identity.trouble:
            return RejectedError(f"{what}, and {self._identity.trouble}", RENEW)
        if self._is_bastion:
            return RejectedError(what, "put the public key into authorized_keys on the bastion")
        return RejectedError(
            what,
            f"`anycast-handler gate --install root@{self._endpoint.address}` puts the public key "
            "into authorized_keys there",
        )


def say(error: Exception) -> str:
    """Say what the kernel or paramiko has to complain about, without what is around it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return clean(str(error), LARGEST_ERROR) or type(error).__name__
