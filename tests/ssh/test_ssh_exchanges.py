"""A key exchange costs CPU that all connections share: few for each endpoint, and no dear one."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import paramiko
import pytest
from anycast_handlers.errors import RejectedError
from anycast_handlers.fleet.values import Endpoint, Ssh
from anycast_handlers.transport.bounded import MOST_EXCHANGES
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
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


def test_a_server_that_exchanges_keys_again_and_again_is_left(tmp_path: Path) -> None:
    done: list[int] = []
    left = threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "host")))
        transport.start_server(threading.Event(), Flooding(None, None))
        with suppress(paramiko.SSHException, EOFError, OSError):
            while not over.is_set() and not transport.is_authenticated():
                over.wait(0.01)
            while len(done) < 10 * MOST_EXCHANGES:
                transport.renegotiate_keys()
                done.append(1)
        left.set()
        transport.close()

    login(tmp_path)
    with serve(Port(tmp_path), talk) as port:
        (tmp_path / "known_hosts").write_text(
            f"[127.0.0.1]:{port.number} {public(tmp_path / 'host')}\n"
        )
        ssh = Ssh("anycast", str(tmp_path / "id"), str(tmp_path / "known_hosts"))
        connecting = Deadline(SYSTEM_CLOCK, PATIENCE)
        endpoint = Endpoint("ns1", "127.0.0.1", port.number)
        shell = SshConnection(endpoint, ssh, None, (), connecting, kept=True)
        try:
            assert left.wait(PATIENCE)
        finally:
            shell.close()
    # The first one was that of the login.
    assert len(done) <= MOST_EXCHANGES - 1


def test_an_honest_server_may_exchange_keys_now_and_then(tmp_path: Path) -> None:
    with Sshd(tmp_path, more="RekeyLimit default 2").running() as sshd, sshd.shell() as shell:
        said = shell.run(("/bin/sh", "-c", "echo a; sleep 2.5; echo b; sleep 0.5"), "", 60.0)
        assert said == (0, "a\nb\n", "")
