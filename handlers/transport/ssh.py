"""The Shell over SSH; the only home of paramiko.

Every phase is bounded, and every failure says which of three things it is: nothing was sent
(UnreachableError), a person must look (RejectedError), or sent and not heard (OutcomeUnknownError).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm

from anycast_checks.imports import lean

from ..errors import ConfigurationError, OutcomeUnknownError, RejectedError, UnreachableError
from ..fleet.values import Endpoint, Ssh
from .channel import receive, send
from .deadline import Deadline
from .known_hosts import lines_about, name_of
from .prompt_socket import PromptSocket
from .shell import COMMAND_SECONDS, Answer, Query, Result

if TYPE_CHECKING:
    from .each import Turns

# For `Match exec` in a user's ssh_config, which is never read here. A third of its time.
lean("paramiko", "invoke")
import paramiko  # noqa: E402

CONNECT_SECONDS = 5.0
HANDSHAKE_SECONDS = 8.0
# What paramiko bounds itself may speak first, since it knows more; then the connection is closed.
GRACE = 1.0

KINDS = {f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)}
KINDS |= {"ssh-ed25519", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"}

# Its transport thread logs tracebacks to stderr where nothing is configured.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class SshShell:
    """Runs commands over one SSH connection, with a pinned host key and one identity."""

    def __init__(
        self,
        endpoint: Endpoint,
        ssh: Ssh,
        deadline: Deadline,
        connecting: Deadline | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.is_root = ssh.user == "root"
        self._deadline = deadline
        self._connecting = connecting or deadline
        self._where = f"{endpoint.address} port {endpoint.port}"
        self._client = paramiko.SSHClient()
        self._turns: Turns | None = None
        self._closing = threading.Lock()
        identity = _identity(ssh.identity)
        self._pin(ssh.known_hosts, name_of(endpoint))
        sock = self._connect_tcp(endpoint)
        try:
            self._await_banner(sock)
            self._take_turn(turns)
            self._log_in(endpoint, ssh, identity, sock)
        except BaseException:
            self.close()
            sock.close()
            raise

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        seconds = self._deadline.left(timeout)
        # Of all of it: one that is stuck is known for such before its connection is closed.
        until = Deadline(seconds)
        with (
            self._abort_after(seconds),
            self._channel(argv, seconds) as channel,
            self._hearing(argv),
        ):
            send(channel, argv, stdin, seconds)
            return receive(channel, argv, seconds, until)

    def ask_all(self, queries: Sequence[Query]) -> list[Answer]:
        """Run queries at the same time, each on a channel of its own; see shell.ask_all."""
        longest = self._deadline.left(max(query.timeout for query in queries))
        ends: list[Callable[[], Answer]] = []
        with self._abort_after(longest), ExitStack() as stack:
            for query in queries:
                if ends and self._client.get_transport() is None:
                    # Given up while an earlier one was sent: on a new connection it would hang too.
                    why = f"{self._where}: the connection was given up"
                    ends.append(partial(OutcomeUnknownError, query.argv, why))
                else:
                    ends.append(self._begin(query, stack))
            return [end() for end in ends]

    def _begin(self, query: Query, stack: ExitStack) -> Callable[[], Answer]:
        """Send a query; what is returned waits for its answer."""
        seconds = self._deadline.left(query.timeout)
        until = Deadline(seconds)
        channel = stack.enter_context(self._channel(query.argv, seconds))
        try:
            with self._hearing(query.argv):
                send(channel, query.argv, "", seconds)
        except OutcomeUnknownError as error:
            unheard = error
            return lambda: unheard

        def end() -> Answer:
            try:
                with self._hearing(query.argv):
                    return receive(channel, query.argv, seconds, until)
            except OutcomeUnknownError as error:
                return error

        return end

    def close(self) -> None:
        """Close the connection; commands that still run there are left to themselves."""
        # A run that ends and its own timer may both come here.
        with self._closing:
            turns, self._turns = self._turns, None
            try:
                self._client.close()
            finally:
                if turns:
                    turns.give_back()

    @contextmanager
    def _channel(self, argv: Sequence[str], seconds: float) -> Iterator[paramiko.Channel]:
        transport = self._client.get_transport()
        try:
            if transport is None:
                raise EOFError
            # However long the command may take, and a new connection may still be in time.
            channel = transport.open_session(timeout=min(seconds, COMMAND_SECONDS))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise UnreachableError(
                f"{self._where}: no channel for {argv[0]}: {_say(error)}"
            ) from error
        try:
            yield channel
        finally:
            # To say so to a peer that has gone fails.
            with suppress(paramiko.SSHException, EOFError, OSError):
                channel.close()

    @contextmanager
    def _hearing(self, argv: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise OutcomeUnknownError(argv, f"{self._where}: {_say(error)}") from error

    def _pin(self, known_hosts: str, name: str) -> None:
        for line in lines_about(known_hosts, name):
            if line.startswith("@"):
                raise _no_pin(known_hosts, line[:60])
            try:
                with suppress(paramiko.SSHException):  # of a kind that is not known
                    self._pin_line(name, line)
            except paramiko.hostkeys.InvalidHostKey as error:
                raise _no_pin(known_hosts, error.line.strip()[:60]) from error
            except ValueError as error:
                raise _no_pin(known_hosts, _say(error)) from error
        self._client.set_missing_host_key_policy(_RejectUnpinned(known_hosts))

    def _pin_line(self, name: str, line: str) -> None:
        pinned = self._client.get_host_keys()
        entry = paramiko.hostkeys.HostKeyEntry.from_line(line)
        if entry and entry.key and entry.key.get_name() not in (pinned.lookup(name) or ()):
            pinned.add(name, entry.key.get_name(), entry.key)

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
        # Each request is a few small packets that wait for one another.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return PromptSocket(fileno=sock.detach())

    def _await_banner(self, sock: socket.socket) -> None:
        # The server speaks first. Who never does must not have a turn, nor a thread of paramiko.
        seconds = self._connecting.left(HANDSHAKE_SECONDS)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise UnreachableError(f"{self._where}: no SSH banner within {seconds:.1f} s")

    def _take_turn(self, turns: Turns | None) -> None:
        if turns and turns.take(self._deadline, self._connecting):
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
        # paramiko asks for the first kind that is pinned, else for any: a host that has only
        # the second would show one that is not pinned.
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
        # paramiko waits for some replies without any bound (an exec request's among them);
        # closing the connection under it ends such a wait.
        timer = threading.Timer(seconds + GRACE, self.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _RejectUnpinned(paramiko.MissingHostKeyPolicy):
    # paramiko's own policy raises a plain SSHException, which reads like trouble on the wire.
    def __init__(self, known_hosts: str) -> None:
        self._known_hosts = known_hosts

    def missing_host_key(self, client: object, hostname: str, key: object) -> None:
        raise RejectedError(
            f"no host key is pinned for {hostname} in {self._known_hosts}",
            "add it, after comparing it with the endpoint's own",
        )


def _no_pin(known_hosts: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{known_hosts}: a line is not a plain host key: {what}")


def _identity(file: str) -> paramiko.PKey:
    try:
        # Before any socket is opened: a missing file is not an unreachable endpoint.
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
        # Each kind of file has an exception of its own for it.
        if "password" in why.lower() or isinstance(error, paramiko.PasswordRequiredException):
            why = "is protected by a passphrase, which nobody can type at night"
        raise ConfigurationError(f"{file}: identity {why}") from error


def _say(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
