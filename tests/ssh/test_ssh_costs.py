"""What an endpoint may cost: all connections share the CPU that its keys and packets take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import paramiko
import pytest
from anycast_handlers.errors import RejectedError
from anycast_handlers.fleet.values import Endpoint, Ssh
from anycast_handlers.transport.bounded import MOST_EXCHANGES, BoundedTransport
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.login_files import LoginFiles
from anycast_handlers.transport.prompt_socket import MOST_PACKETS
from anycast_handlers.transport.ssh import SshConnection

from tests.ssh.flood import Flooding
from tests.ssh.server import Sshd, public
from tests.ssh.tarpit import Port, login, serve

PATIENCE = 60.0


def test_an_exchange_with_a_group_of_the_servers_choice_is_refused(tmp_path: Path) -> None:
    """Its largest group takes a second, in which no thread of the watcher runs."""
    more = "KexAlgorithms diffie-hellman-group-exchange-sha256"
    with (
        Sshd(tmp_path, more=more).running() as sshd,
        pytest.raises(RejectedError, match="no acceptable kex algorithm"),
        sshd.shell(),
    ):
        pytest.fail("it logged in")


def times_until_left(directory: Path, most: int, act: Callable[[paramiko.Transport], None]) -> int:
    """Let a server do something to a client that stays, again and again; count how often."""
    done: list[int] = []
    left = threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        # The bytes that the kernel keeps are done to nobody, so it may keep few.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        transport = paramiko.Transport(connection)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(directory / "host")))
        transport.start_server(threading.Event(), Flooding(None, None))
        with suppress(paramiko.SSHException, EOFError, OSError):
            while not over.is_set() and not transport.is_authenticated():
                over.wait(0.01)
            while transport.is_active() and len(done) < most:
                act(transport)
                done.append(1)
        left.set()
        transport.close()

    login(directory)
    with serve(Port(directory), talk) as port:
        known = f"[127.0.0.1]:{port.number} {public(directory / 'host')}\n"
        (directory / "known_hosts").write_text(known)
        ssh = Ssh("anycast", str(directory / "id"), str(directory / "known_hosts"))
        connecting = Deadline(SYSTEM_CLOCK, PATIENCE)
        endpoint = Endpoint("ns1", "127.0.0.1", port.number)
        shell = SshConnection(endpoint, ssh, None, (), connecting, kept=True)
        try:
            assert left.wait(PATIENCE)
        finally:
            shell.close()
    return len(done)


def test_a_server_that_exchanges_keys_again_and_again_is_left(tmp_path: Path) -> None:
    # The first exchange is that of the login.
    most = MOST_EXCHANGES - 1
    assert times_until_left(tmp_path, 10 * most, lambda one: one.renegotiate_keys()) <= most


def test_a_server_that_sends_empty_packets_without_end_is_left(tmp_path: Path) -> None:
    """The window of a channel does not bound them, and each costs CPU."""
    done = times_until_left(tmp_path, 5 * MOST_PACKETS, lambda one: one.send_ignore(10))
    assert done < 3 * MOST_PACKETS


def test_an_honest_server_may_exchange_keys_now_and_then(tmp_path: Path) -> None:
    with Sshd(tmp_path, more="RekeyLimit default 2").running() as sshd, sshd.shell() as shell:
        said = shell.run(("/bin/sh", "-c", "echo a; sleep 2.5; echo b; sleep 0.5"), "", 60.0)
        assert said == (0, "a\nb\n", "")


def test_packets_are_checked_by_their_cipher(tmp_path: Path) -> None:
    """paramiko compares the checksums of other ciphers byte by byte."""
    with Sshd(tmp_path).running() as sshd, sshd.shell() as shell:
        transport = shell._login.transport
        assert transport is not None
        ciphers = {transport.local_cipher, transport.remote_cipher}  # type: ignore[attr-defined]
        assert ciphers == {"aes128-gcm@openssh.com"}


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes256-ctr"])
def test_a_server_may_have_one_cipher_alone(tmp_path: Path, cipher: str) -> None:
    with Sshd(tmp_path, more=f"Ciphers {cipher}").running() as sshd, sshd.shell() as shell:
        assert shell.run(("/bin/echo", "a")) == (0, "a\n", "")


def test_a_login_starts_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[type[threading.Thread]] = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(type(thread))
        start(thread)

    with Sshd(tmp_path).running() as sshd:
        monkeypatch.setattr(threading.Thread, "start", note)
        with sshd.shell():
            # The other one is that of all alarms.
            assert [one for one in started if one is not threading.Thread] == [BoundedTransport]


def test_the_logins_of_a_run_read_their_files_once(tmp_path: Path) -> None:
    with Sshd(tmp_path).running() as sshd:
        ssh, connecting = sshd.ssh(), Deadline(SYSTEM_CLOCK, PATIENCE)
        of_run = LoginFiles(ssh)
        SshConnection(sshd.endpoint(), ssh, None, (), connecting, files=of_run).close()
        sshd.known_hosts.write_text("")
        SshConnection(sshd.endpoint(), ssh, None, (), connecting, files=of_run).close()
        with pytest.raises(RejectedError, match="no host key is pinned"):
            SshConnection(sshd.endpoint(), ssh, None, (), connecting)
