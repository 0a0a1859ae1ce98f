"""An endpoint behind a bastion cannot cut the handler off from the others there."""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest
from anycast_handlers.errors import UnreachableError
from anycast_handlers.fleet.values import Jump
from anycast_handlers.transport import bastion, prompt_socket
from anycast_handlers.transport import ssh as module
from anycast_handlers.transport import tunnel as tunnels
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.prompt_socket import PromptSocket
from anycast_handlers.transport.ssh import SshConnection
from anycast_handlers.transport.tunnel import Tunnel
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_DATA

from tests.ssh.flood import message
from tests.ssh.tarpit import Port, serve
from tests.ssh.test_ssh_jump import SECONDS, Forwarder, Way, refused, wait_until_closed
from tests.support.beside import running
from tests.support.peer import free_port

# A busy machine gets beyond these too. The stand-in for a bastion sends so many packets at most.
FEW, A_SECOND, LATE, MANY = 300, 10, 1_000, 20_000
# This endpoint sends byte by byte, and never a whole line.
DRIPS = f"""
import socket, time
with socket.create_server(("127.0.0.1", {{port}})) as listening:
    print("listens", flush=True)
    while True:
        one, _ = listening.accept()
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                one.send(b"x")
                time.sleep(1 / {20 * FEW})
        except OSError:
            pass
"""
ENDLESS = "it sent packets without end"


@pytest.fixture
def few_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_socket, "MOST_PACKETS", FEW)
    monkeypatch.setattr(prompt_socket, "PACKETS_A_SECOND", A_SECOND)
    monkeypatch.setattr(tunnels, "MOST_LATE", LATE)


@pytest.fixture
def way(tmp_path: Path, few_packets: None) -> Way:
    return Way(tmp_path)


def test_an_endpoint_that_sends_packets_without_end_is_left_alone(way: Way) -> None:
    port = free_port()
    drips = running([sys.executable, "-c", DRIPS.format(port=port)], "listens")
    with way.bastion.running(), way.behind.running(), drips:
        way.allow("restrict,port-forwarding")
        deadline = Deadline(SYSTEM_CLOCK, SECONDS)
        good = SshConnection(way.endpoint(), way.ssh, None, (), deadline, kept=True)
        try:
            for _ in range(3):
                where = f"127.0.0.1 port {port} through 127.0.0.1:{way.bastion.port}"
                said = str(refused(way, way.endpoint(port=port)))
                assert said == f"{where}: {ENDLESS} before the login had ended"
                assert good.run(("echo", "there"), timeout=SECONDS).stdout == "there\n"
        finally:
            good.close()
        assert way.logins() == 1
        wait_until_closed()


class Dripping:
    """Stands in for a bastion; the second tunnel through it brings packets of one byte each."""

    def __init__(self, way: Way, *, closes: bool) -> None:
        self._way = way
        self._closes = closes
        self.logins = self.sent = 0

    def talk(self, connection: socket.socket, over: threading.Event) -> None:
        self.logins += 1
        # The bytes that the kernel keeps come to nobody, so it may keep few.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        transport = paramiko.Transport(connection)
        key = str(self._way.bastion.host_keys[0])
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(key))
        if not self._closes:
            table = transport._channel_handler_table  # type: ignore[attr-defined]
            ignore = {MSG_CHANNEL_CLOSE: lambda *_: None}
            transport._channel_handler_table = {**table, **ignore}  # type: ignore[attr-defined]
        transport.start_server(threading.Event(), Forwarder())
        try:
            _, channel = transport.accept(SECONDS), transport.accept(SECONDS)
            assert channel
            with suppress(EOFError, OSError):
                self._drip(transport, channel)
            over.wait()
        finally:
            transport.close()

    def _drip(self, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        byte = message(MSG_CHANNEL_DATA, channel.remote_chanid, b"x")
        while self.sent < MANY and not channel.closed:
            transport._send_message(byte)  # type: ignore[attr-defined]
            self.sent += 1


@contextmanager
def beside_another(way: Way, dripping: Dripping) -> Iterator[Tunnel]:
    """Give a tunnel through a bastion that brings more of another one than it may."""
    with serve(Port(way.bastion.directory), dripping.talk) as port:
        way.bastion.port = port.number
        way.pin()
        tunnel = opened(way)
        try:
            with pytest.raises(UnreachableError):
                way.connect()
            yield tunnel
        finally:
            tunnel.sock.close()
            wait_until_closed()


def opened(way: Way) -> Tunnel:
    jump, deadline = Jump("127.0.0.1", way.bastion.port), Deadline(SYSTEM_CLOCK, SECONDS)
    return bastion.open_tunnel(jump, way.endpoint(), way.ssh, deadline, module._to_bastion)


def test_what_is_under_way_when_a_tunnel_ends_costs_the_others_nothing(way: Way) -> None:
    dripping = Dripping(way, closes=True)
    with beside_another(way, dripping) as tunnel:
        # The bastion has nothing more to bring, and answers on.
        opened(way).sock.close()
        tunnel.sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            tunnel.sock.recv(1)
    assert dripping.sent > FEW
    assert dripping.logins == 1


def test_a_bastion_that_does_not_end_a_tunnel_is_left(way: Way) -> None:
    dripping = Dripping(way, closes=False)
    with beside_another(way, dripping) as tunnel:
        poll = select.poll()
        poll.register(tunnel.sock, select.POLLHUP)
        assert poll.poll(SECONDS * 1000), "the other tunnel goes on"
    assert FEW + LATE < dripping.sent < MANY


def test_a_packet_of_a_tunnel_is_taken_from_what_the_bastion_may_send(few_packets: None) -> None:
    """However many packets the tunnel's end takes at once."""
    ours, theirs = socket.socketpair()
    with theirs, PromptSocket(ours.detach()) as sock:
        sock.keep()
        sock.settimeout(SECONDS)
        theirs.sendall(b"x" * 20 * FEW)
        for _ in range(4 * FEW):
            _receive(sock, 2)
            sock.passed_on(0, packets=1)
        with pytest.raises(OSError, match=ENDLESS):
            _receive(sock, 4 * FEW)
        assert sock.overrun == ENDLESS


def _receive(sock: PromptSocket, times: int) -> None:
    for _ in range(times):
        sock.recv(1)
