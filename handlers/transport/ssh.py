"""A connection over SSH; the only home of paramiko.

Every phase has a time limit, and every failure is one of three: nothing was sent
(UnreachableError), a person must look (RejectedError), or a command was sent and its end was not
heard (OutcomeUnknownError).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from cryptography.exceptions import UnsupportedAlgorithm

from anycast_checks.imports import lean

from ..errors import ConfigurationError, OutcomeUnknownError, RejectedError, UnreachableError
from ..fleet.values import Endpoint, Ssh
from .channel import receive, send
from .clock import SYSTEM_CLOCK, Deadline
from .known_hosts import REVOKED, lines_about, name_of
from .prompt_socket import READ_AHEAD, PromptSocket
from .shell import COMMAND_SECONDS, Query, Reply, Result, Stream
from .stream import Lines
from .turns import Turns

# paramiko needs invoke for `Match exec` in a user's ssh_config, which is never read here; invoke
# would take a third of the time that importing paramiko takes.
lean("paramiko", "invoke")
import paramiko  # noqa: E402

CONNECT_SECONDS = 5.0
HANDSHAKE_SECONDS = 8.0
# Seconds by which paramiko's own time-outs come before the connection is closed, since their errors
# say more.
GRACE = 1.0

KINDS = {f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)}
KINDS |= {"ssh-ed25519", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"}

# Without a logging configuration paramiko's transport thread prints tracebacks to stderr.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class SshConnection:
    """Runs commands over one SSH connection, with a pinned host key and one identity."""

    def __init__(
        self,
        endpoint: Endpoint,
        ssh: Ssh,
        turns: Turns | None,
        waiting: Sequence[Deadline],
        connecting: Deadline,
    ) -> None:
        """Connect and log in.

        Args:
            endpoint: the host to connect to.
            ssh: the account, its key, and the file of known hosts.
            turns: the connection takes a turn while it is open; None where few connect at once.
            waiting: the deadlines that a wait for a turn puts off.
            connecting: the deadline by which the login has to be complete.
        """
        self.is_root = ssh.user == "root"
        self._connecting = connecting
        self._where = f"{endpoint.address} port {endpoint.port}"
        self._client = paramiko.SSHClient()
        self._turns: Turns | None = None
        self._closing = threading.Lock()
        identity = _identity(ssh.identity)
        self._pin(ssh.known_hosts, name_of(endpoint))
        sock = self._connect_tcp(endpoint)
        try:
            self._await_banner(sock)
            self._take_turn(turns, waiting)
            self._log_in(endpoint, ssh, identity, sock)
        except BaseException:
            self.close()
            sock.close()
            raise

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        # One time limit for the whole command, so that a hung command is reported as such before
        # the timer closes the connection.
        until = Deadline(SYSTEM_CLOCK, timeout)
        with (
            self._abort_after(timeout),
            self._channel(argv, timeout) as channel,
            self._hearing(argv),
        ):
            send(channel, argv, stdin, timeout)
            return receive(channel, argv, timeout, until)

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run queries at the same time, each on a channel of its own; see Shell.ask_all."""
        longest = max(query.timeout for query in queries)
        ends: list[Callable[[], Reply]] = []
        with self._abort_after(longest), ExitStack() as stack:
            for query in queries:
                if ends and self._client.get_transport() is None:
                    # The timer closed the connection while an earlier query was sent; on a new
                    # connection the query would hang too.
                    why = f"{self._where}: the connection was given up"
                    ends.append(partial(OutcomeUnknownError, query.argv, why))
                else:
                    ends.append(self._begin(query, stack))
            return [end() for end in ends]

    def _begin(self, query: Query, stack: ExitStack) -> Callable[[], Reply]:
        """Send a query, and return a function that waits for its reply."""
        seconds = query.timeout
        until = Deadline(SYSTEM_CLOCK, seconds)
        channel = stack.enter_context(self._channel(query.argv, seconds))
        try:
            with self._hearing(query.argv):
                send(channel, query.argv, "", seconds)
        except OutcomeUnknownError as error:
            unheard = error
            return lambda: unheard

        def end() -> Reply:
            try:
                with self._hearing(query.argv):
                    return receive(channel, query.argv, seconds, until)
            except OutcomeUnknownError as error:
                return error

        return end

    def stream(self, argv: Sequence[str]) -> Stream:
        """Start a command that goes on; see Shell.stream."""
        with self._abort_after(COMMAND_SECONDS):
            channel = self._open_channel(argv, COMMAND_SECONDS)
            try:
                with self._hearing(argv):
                    send(channel, argv, "", COMMAND_SECONDS)
            except OutcomeUnknownError:
                _close_channel(channel)
                raise
        return _SshStream(channel, argv)

    def close(self) -> None:
        """Close the connection; commands that still run there are left to themselves."""
        # The end of a run and its timer may both close the connection at the same time.
        with self._closing:
            turns, self._turns = self._turns, None
            try:
                self._client.close()
            finally:
                if turns:
                    turns.give_back()

    @contextmanager
    def _channel(self, argv: Sequence[str], seconds: float) -> Iterator[paramiko.Channel]:
        channel = self._open_channel(argv, seconds)
        try:
            yield channel
        finally:
            _close_channel(channel)

    def _open_channel(self, argv: Sequence[str], seconds: float) -> paramiko.Channel:
        transport = self._client.get_transport()
        try:
            if transport is None:
                raise EOFError
            # The wait for a channel is short even for a command that may take long, so that there
            # is still time for a new connection.
            return transport.open_session(timeout=min(seconds, COMMAND_SECONDS))
        except (paramiko.SSHException, EOFError, OSError) as error:
            why = f"{self._where}: no channel for {argv[0]}: {_say(error)}"
            raise UnreachableError(why) from error

    @contextmanager
    def _hearing(self, argv: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise OutcomeUnknownError(argv, f"{self._where}: {_say(error)}") from error

    def _pin(self, known_hosts: str, name: str) -> None:
        lines = lines_about(known_hosts, name)
        keys = [(line.marker, key) for line in lines if (key := _host_key(name, line.key))]
        revoked = {key.asbytes() for marker, key in keys if marker == REVOKED}
        pinned = self._client.get_host_keys()
        for marker, key in keys:
            kind = key.get_name()
            # A marker such as @cert-authority is about certificates, which are not supported.
            if (
                not marker
                and key.asbytes() not in revoked
                and kind not in (pinned.lookup(name) or ())
            ):
                pinned.add(name, kind, key)
        self._client.set_missing_host_key_policy(_RejectUnpinned(known_hosts, revoked))

    def _connect_tcp(self, endpoint: Endpoint) -> socket.socket:
        seconds = self._connecting.left(CONNECT_SECONDS)
        try:
            sock = socket.create_connection((endpoint.address, endpoint.port), seconds)
        except TimeoutError as error:
            raise UnreachableError(
                f"{self._where}: no connection within {seconds:.1f} s"
            ) from error
        except OSError as error:
            raise UnreachableError(f"{self._where}: {_say(error)}") from error
        # A request is a few small packets, each of which waits for the answer to the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return PromptSocket(fileno=sock.detach())

    def _await_banner(self, sock: socket.socket) -> None:
        # An SSH server speaks first. A server that never speaks must take neither a turn nor a
        # thread of paramiko.
        seconds = self._connecting.left(HANDSHAKE_SECONDS)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise UnreachableError(f"{self._where}: no SSH banner within {seconds:.1f} s")

    def _take_turn(self, turns: Turns | None, waiting: Sequence[Deadline]) -> None:
        if turns and turns.take(*waiting, self._connecting):
            self._turns = turns

    def _log_in(
        self, endpoint: Endpoint, ssh: Ssh, identity: paramiko.PKey, sock: socket.socket
    ) -> None:
        seconds = self._connecting.left(HANDSHAKE_SECONDS)
        with self._abort_after(seconds):
            try:
                self._client.connect(
                    endpoint.address,
                    endpoint.port,
                    ssh.user,
                    pkey=identity,
                    sock=sock,
                    timeout=seconds,
                    banner_timeout=seconds,
                    auth_timeout=seconds,
                    channel_timeout=seconds,
                    allow_agent=False,
                    look_for_keys=False,
                    disabled_algorithms={"keys": self._unpinned_kinds(endpoint)},
                )
            except paramiko.BadHostKeyException as error:
                raise RejectedError(
                    f"{self._where}: its host key is not the one in {ssh.known_hosts}",
                    "find out why before you pin the new one",
                ) from error
            except paramiko.ssh_exception.IncompatiblePeer as error:
                raise RejectedError(
                    f"{self._where}: {_say(error)}; known_hosts is {ssh.known_hosts}"
                ) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise self._login_failed(ssh, error) from error

    def _unpinned_kinds(self, endpoint: Endpoint) -> list[str]:
        # paramiko prefers the first pinned kind of key, and accepts any other. A host that has only
        # the second pinned kind might then show a key of a kind that is not pinned.
        pinned = set(self._client.get_host_keys().lookup(name_of(endpoint)) or KINDS)
        if "ssh-rsa" in pinned:
            pinned |= {"rsa-sha2-256", "rsa-sha2-512"}
        return sorted(KINDS - pinned)

    def _login_failed(self, ssh: Ssh, error: Exception) -> UnreachableError | RejectedError:
        transport = self._client.get_transport()
        if transport is None or not transport.remote_version:
            return UnreachableError(f"{self._where}: no SSH banner: {_say(error)}")
        if not transport.initial_kex_done:
            return UnreachableError(f"{self._where}: the key exchange failed: {_say(error)}")
        refused = isinstance(error, paramiko.AuthenticationException)
        if refused and "timeout" not in str(error).lower() and transport.is_active():
            return RejectedError(
                f"{self._where}: login as {ssh.user} with {ssh.identity} was refused",
                "is the public key in its authorized_keys?",
            )
        return UnreachableError(f"{self._where}: the login did not end: {_say(error)}")

    @contextmanager
    def _abort_after(self, seconds: float) -> Iterator[None]:
        # paramiko waits for some replies without a time limit, such as the reply to an exec
        # request; closing the connection ends such a wait.
        timer = threading.Timer(seconds + GRACE, self.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _SshStream:
    """The lines of a command on a channel of its own; see Stream."""

    def __init__(self, channel: paramiko.Channel, argv: Sequence[str]) -> None:
        self._channel = channel
        self._lines = Lines(argv, self._receive)

    def read_line(self, timeout: float) -> str | None:
        return self._lines.read(timeout)

    def close(self) -> None:
        _close_channel(self._channel)

    def _receive(self, seconds: float) -> bytes:
        self._channel.settimeout(seconds)
        try:
            return self._channel.recv(READ_AHEAD)
        except TimeoutError:
            raise
        except (paramiko.SSHException, EOFError, OSError):
            return b""


class _RejectUnpinned(paramiko.MissingHostKeyPolicy):
    # paramiko's own policy raises a plain SSHException, which looks like a network error.
    def __init__(self, known_hosts: str, revoked: set[bytes]) -> None:
        self._known_hosts = known_hosts
        self._revoked = revoked

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:
        if key.asbytes() in self._revoked:
            raise RejectedError(
                f"the host key of {hostname} is revoked in {self._known_hosts}",
                "give the host another key, and pin that",
            )
        raise RejectedError(
            f"no host key is pinned for {hostname} in {self._known_hosts}",
            "add it, after comparing it with the endpoint's own",
        )


def _close_channel(channel: paramiko.Channel) -> None:
    # Closing a channel sends a message, which fails where the peer has gone.
    with suppress(paramiko.SSHException, EOFError, OSError):
        channel.close()


def _host_key(name: str, kind_and_key: str) -> paramiko.PKey | None:
    """Read a host key; None where it is malformed, or paramiko does not know its kind."""
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind_and_key}")
    except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey, ValueError):
        return None
    # paramiko pads a key that was cut short, which is then no host's key.
    is_whole = entry and entry.key and entry.key.get_base64() in kind_and_key
    return entry.key if entry and is_whole else None


def _identity(file: str) -> paramiko.PKey:
    try:
        # The identity is read before any socket is opened, so that a missing file is not reported
        # as an unreachable endpoint.
        return paramiko.PKey.from_path(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: identity cannot be read: {error.strerror}") from error
    except (
        paramiko.SSHException,
        paramiko.pkey.UnknownKeyType,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
    ) as error:
        why = f"is not a private key that can be used: {_say(error)}"
        # Each format of key file has another exception for a missing passphrase.
        if "password" in why.lower() or isinstance(error, paramiko.PasswordRequiredException):
            why = "is protected by a passphrase, which nobody can type at night"
        raise ConfigurationError(f"{file}: identity {why}") from error


def _say(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
