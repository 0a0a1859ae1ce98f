"""Through a bastion: both host keys are pinned, and all share one connection to the bastion."""

from __future__ import annotations

import errno
import getpass
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, repeat
from pathlib import Path

import paramiko
import pytest
from anycast_handlers.errors import HandlerError, RejectedError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Jump, Ssh
from anycast_handlers.transport import bastion as module
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.connections import FreshConnections
from anycast_handlers.transport.kept import KeptConnections
from anycast_handlers.transport.ssh import SshConnection
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_IGNORE,
    OPEN_SUCCEEDED,
)

from tests.ssh.flood import BLOCK, BYTES, message
from tests.ssh.server import Sshd, key, public
from tests.ssh.tarpit import BANNER, Port, serve
from tests.support.peer import free_port

SECONDS = 30.0
# Beside what the handler keeps, some is on its way.
MOST_SENT = 60_000_000
PAGE = (Path(__file__).parents[2] / "docs/engines.rst").read_text()


class Way:
    """A bastion and an endpoint behind it, which takes no other way."""

    def __init__(self, directory: Path, address: str = "127.0.0.1") -> None:
        for name in ("bastion", "endpoint"):
            (directory / name).mkdir()
        self.address = address
        self.bastion = Sshd(directory / "bastion", address=address, more="LogLevel VERBOSE")
        self.behind = Sshd(directory / "endpoint", address=address)
        self.known_hosts = directory / "known_hosts"
        self.pin()
        # sshd wants an address of IPv6 in brackets, and takes them around any.
        self.allow(f'restrict,port-forwarding,permitopen="[{address}]:{self.behind.port}"')

    def allow(self, options: str) -> None:
        """Let the key of the endpoint log in at the bastion too, with these options."""
        line = f"{options} {public(self.behind.identity)}\n"
        (self.bastion.directory / "authorized_keys").write_text(line)

    def pin(self, *, bastion: Path | None = None, endpoint: Path | None = None) -> None:
        """Pin the host keys of both, or others in their place."""
        keys = (bastion or self.bastion.host_keys[0], endpoint or self.behind.host_keys[0])
        ports = (self.bastion.port, self.behind.port)
        lines = [f"[{self.address}]:{p} {public(k)}\n" for p, k in zip(ports, keys, strict=True)]
        self.known_hosts.write_text("".join(lines))

    @property
    def ssh(self) -> Ssh:
        return Ssh(getpass.getuser(), str(self.behind.identity), str(self.known_hosts))

    def endpoint(self, jump: Jump | None = None, port: int = 0) -> Endpoint:
        jump = jump or Jump(self.address, self.bastion.port)
        return Endpoint("ns1", self.address, port or self.behind.port, jump=jump)

    def connect(self, endpoint: Endpoint | None = None) -> SshConnection:
        deadline = Deadline(SYSTEM_CLOCK, SECONDS)
        return SshConnection(endpoint or self.endpoint(), self.ssh, None, (), deadline)

    def logins(self) -> int:
        """Say how many logins there were at the bastion."""
        return (self.bastion.directory / "sshd.log").read_text().count("Accepted publickey")


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    made = Way(tmp_path)
    with made.bastion.running(), made.behind.running():
        yield made


def refused(way: Way, endpoint: Endpoint | None = None) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        way.connect(endpoint).close()
    return caught.value


def wait_until_closed() -> None:
    """Wait until no connection to a bastion is open any more."""
    end = time.monotonic() + SECONDS
    while any(one._connection for one in module._bastions.values()):
        assert time.monotonic() < end, "a connection to a bastion stays open"
        time.sleep(0.01)


def test_commands_get_there_and_back(way: Way) -> None:
    shell = way.connect()
    try:
        assert shell.run(("cat",), "x" * 1_000, SECONDS).stdout == "x" * 1_000
        zeros = shell.run(("head", "-c", "900000", "/dev/zero"), timeout=SECONDS).stdout
        assert len(zeros) == 900_000
        assert 0.0 < shell.distance < 2.0
    finally:
        shell.close()
    wait_until_closed()


def test_addresses_of_ipv6_lead_through_a_bastion(tmp_path: Path) -> None:
    way = Way(tmp_path, "::1")
    with way.bastion.running(), way.behind.running():
        shell = way.connect()
        try:
            assert shell.run(("echo", "there"), timeout=SECONDS).stdout == "there\n"
        finally:
            shell.close()
        wait_until_closed()
        closed = free_port()
        said = str(refused(way, way.endpoint(port=closed)))
    to = f"[::1]:{way.bastion.port}: no tunnel to ::1 port {closed}"
    assert said.startswith(f"{to}: the bastion forbids it: ")


def test_all_connections_share_one_login_at_the_bastion(way: Way) -> None:
    shells = [way.connect() for _ in range(3)]
    for shell in shells:
        assert shell.run(("true",), timeout=SECONDS).status == 0
    assert way.logins() == 1
    shells[0].close()
    assert shells[1].run(("true",), timeout=SECONDS).status == 0
    for shell in shells:
        shell.close()
    wait_until_closed()
    way.connect().close()
    assert way.logins() == 2


def test_it_is_the_way_of_runs_and_of_kept_connections(way: Way) -> None:
    """The address is this very host's, and yet another host may have it behind a bastion."""
    deadline = Deadline(SYSTEM_CLOCK, SECONDS)
    kept = KeptConnections(way.ssh)
    try:
        for connections in (FreshConnections(way.ssh), kept):
            with connections.open(way.endpoint(), deadline) as shell:
                which = ("sh", "-c", "echo $SSH_CONNECTION")
                words = shell.run(which, timeout=SECONDS).stdout.split()
                assert words[3:] == [str(way.behind.port)]
    finally:
        kept.close()
    assert way.logins() >= 1


def test_a_connection_that_is_kept_is_not_used_for_another_way(way: Way) -> None:
    """The fleet file may name a bastion for an endpoint that was reached without one before."""
    deadline = Deadline(SYSTEM_CLOCK, SECONDS)
    kept = KeptConnections(way.ssh, is_local=lambda _: False)
    jumps = (None, Jump("127.0.0.1", way.bastion.port))
    try:
        for logins, jump in enumerate(jumps):
            endpoint = way.endpoint()._replace(jump=jump)
            with kept.open(endpoint, deadline) as shell:
                assert shell.run(("true",), timeout=SECONDS).status == 0
            assert way.logins() == logins
    finally:
        kept.close()


@pytest.mark.parametrize("which", ["bastion", "endpoint"])
def test_each_of_them_has_to_show_its_pinned_key(way: Way, tmp_path: Path, which: str) -> None:
    way.pin(**{which: key(tmp_path / "another")})
    error = refused(way)
    assert isinstance(error, RejectedError)
    port = way.bastion.port if which == "bastion" else way.behind.port
    through = "" if which == "bastion" else f" through 127.0.0.1:{way.bastion.port}"
    assert str(error).startswith(f"127.0.0.1 port {port}{through}: its host key is not the one in ")


def test_a_login_that_the_bastion_refuses_names_the_bastion(way: Way) -> None:
    way.allow("# ")
    error = refused(way)
    assert isinstance(error, RejectedError)
    assert f"port {way.bastion.port}: login as " in str(error)
    assert error.remedy == "put the public key into authorized_keys on the bastion"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("restrict", "the bastion forbids it: let the key forward ports there"),
        ('restrict,port-forwarding,permitopen="127.0.0.1:9"', "the bastion forbids it"),
    ],
)
def test_a_bastion_that_forwards_nothing_says_so(way: Way, options: str, said: str) -> None:
    way.allow(options)
    error = refused(way)
    assert isinstance(error, UnreachableError)
    assert said in str(error)
    wait_until_closed()


def test_an_endpoint_that_is_down_is_told_from_a_bastion_that_is_down(way: Way) -> None:
    way.allow("restrict,port-forwarding")
    closed = free_port()
    said = str(refused(way, way.endpoint(port=closed)))
    assert said.startswith(f"127.0.0.1:{way.bastion.port}: no tunnel to 127.0.0.1 port {closed}: ")
    said = str(refused(way, way.endpoint(Jump("127.0.0.1", closed))))
    assert said == f"127.0.0.1 port {closed}: Connection refused"


def test_a_bastion_may_have_a_name_and_an_account_of_its_own(way: Way) -> None:
    way.known_hosts.write_text(way.known_hosts.read_text().replace("[127.0.0.1]", "*"))
    jump = Jump("localhost", way.bastion.port, getpass.getuser())
    shell = way.connect(way.endpoint(jump))
    shell.close()
    said = str(refused(way, way.endpoint(Jump("no.such.host.invalid", 22))))
    assert said.startswith("no.such.host.invalid port 22: ")


def test_name_servers_that_are_silent_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        over.wait(SECONDS)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(TimeoutError):
            module.look_up("bastion.example.net", 0.05)
    finally:
        over.set()


def test_a_bastion_that_dies_ends_what_goes_through_it(way: Way) -> None:
    shell = way.connect()
    try:
        for one in module._bastions.values():
            if one._connection:
                one._connection._sock.shut()
        end = time.monotonic() + SECONDS
        while shell.is_open:
            assert time.monotonic() < end, "the connection seems to be open for ever"
            time.sleep(0.01)
        with pytest.raises(HandlerError):
            shell.run(("true",), timeout=SECONDS)
    finally:
        shell.close()
    again = way.connect()
    assert again.run(("true",), timeout=SECONDS).status == 0
    again.close()


class Forwarder(paramiko.ServerInterface):
    """Lets everybody in, and opens every tunnel."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        return OPEN_SUCCEEDED


@contextmanager
def first_tunnel(
    way: Way, connection: socket.socket, window: int = 2**21
) -> Iterator[paramiko.Channel]:
    """Stand in for the bastion, up to the endpoint's first line in the first tunnel."""
    transport = paramiko.Transport(connection)
    transport.default_window_size = window
    transport.add_server_key(
        paramiko.Ed25519Key.from_private_key_file(str(way.bastion.host_keys[0]))
    )
    transport.start_server(threading.Event(), Forwarder())
    channel = transport.accept(SECONDS)
    assert channel
    channel.sendall(BANNER)
    try:
        yield channel
    finally:
        transport.close()


def test_a_bastion_that_takes_nothing_keeps_no_thread_and_no_file(way: Way) -> None:
    """It brings the endpoint's first line, and allows no byte in the other direction."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        with first_tunnel(way, connection, window=0):
            over.wait()

    with serve(Port(way.bastion.directory), talk) as port:
        way.bastion.port = port.number
        way.pin()
        deadline = Deadline(SYSTEM_CLOCK, 1.0)
        with pytest.raises(UnreachableError):
            SshConnection(way.endpoint(), way.ssh, None, (), deadline)
        wait_until_closed()


def _in_error_output(channel: paramiko.Channel) -> Iterator[paramiko.Message]:
    for number in count():
        yield message(MSG_CHANNEL_EXTENDED_DATA, channel.remote_chanid, 1, BLOCK)
        if number % 20 == 0:
            yield message(MSG_CHANNEL_DATA, channel.remote_chanid, b"-")


def _in_empty_packets(channel: paramiko.Channel) -> Iterator[paramiko.Message]:
    yield from repeat(message(MSG_IGNORE, b""))


@pytest.mark.parametrize("flood", [_in_error_output, _in_empty_packets])
def test_a_bastion_that_floods_a_tunnel_is_left(
    way: Way, flood: Callable[[paramiko.Channel], Iterator[paramiko.Message]]
) -> None:
    """Memory and CPU are those of a process that acts for other endpoints too."""
    sent = 0

    def talk(connection: socket.socket, over: threading.Event) -> None:
        nonlocal sent
        with first_tunnel(way, connection) as channel, suppress(EOFError, OSError):
            for one in flood(channel):
                if over.is_set() or sent > BYTES:
                    break
                channel.get_transport()._send_message(one)  # type: ignore[attr-defined]
                sent += len(one.asbytes())

    with serve(Port(way.bastion.directory), talk) as port:
        way.bastion.port = port.number
        way.pin()
        # The bastion answers on, so that nothing but the flood ends this.
        deadline = Deadline(SYSTEM_CLOCK, 5 * SECONDS)
        with pytest.raises(UnreachableError):
            SshConnection(way.endpoint(), way.ssh, None, (), deadline)
        wait_until_closed()
    assert 0 < sent < MOST_SENT


def test_where_files_run_out_the_connection_to_the_bastion_ends_too(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> tuple[socket.socket, socket.socket]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socketpair", none_left)
        assert str(refused(way)).endswith(": Too many open files")
    wait_until_closed()


def through_bastion(way: Way) -> tuple[str, ...]:
    """Give the command line of ssh with the option for check_by_ssh that docs/engines.rst shows."""
    (option,) = re.findall(r'anycast_ssh_options = \[ "(ProxyCommand=.*)" \]', PAGE)
    for theirs, ours in (
        ("/etc/anycast/known_hosts", str(way.known_hosts)),
        ("/etc/anycast/check_ed25519", str(way.behind.identity)),
        ("-l check", f"-l {getpass.getuser()} -p {way.bastion.port}"),
        ("bastion.example.net", "127.0.0.1"),
    ):
        assert theirs in option
        option = option.replace(theirs, ours)
    pinned = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={way.known_hosts}")
    options = (option, "BatchMode=yes", "GlobalKnownHostsFile=/dev/null", *pinned)
    words = [word for one in options for word in ("-o", one)]
    files = ("-F", "/dev/null", "-i", str(way.behind.identity), "-p", str(way.behind.port))
    return ("ssh", *files, *words, "127.0.0.1", "echo there")


def test_the_documented_way_of_the_checks_pins_both_keys_too(way: Way, tmp_path: Path) -> None:
    def said() -> str:
        argv = through_bastion(way)
        return subprocess.run(argv, check=False, capture_output=True, text=True).stdout

    assert said() == "there\n"
    assert way.logins() == 1
    for which in ("bastion", "endpoint"):
        way.pin(**{which: key(tmp_path / which / "another")})
        assert said() == ""
    way.pin()
    assert said() == "there\n"
