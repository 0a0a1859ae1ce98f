"""Endpoints that fall silent: each phase of a session ends, and as the right kind of failure.

It is an UnreachableError where no command was sent, and an OutcomeUnknownError where one was.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.errors import HandlerError, OutcomeUnknownError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Ssh
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Clock, Deadline
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.shell import COMMAND_SECONDS, Connection
from anycast_handlers.transport.ssh import SshConnection

from tests.ssh.server import public
from tests.ssh.tarpit import (
    BANNER,
    Port,
    Talk,
    deaf,
    dripping,
    full_backlog,
    hanging_up,
    login,
    saying,
    serve,
    silence,
)

# A login takes tenths of a second, and longer on a busy machine.
SECONDS, IN_SESSION = 2.0, 4.0
# Many times the time limit: it only tells a slow machine from a call that never returns.
PATIENCE = 60.0


@pytest.fixture
def port(tmp_path: Path) -> Port:
    login(tmp_path)
    return Port(tmp_path)


def failure(
    port: Port,
    deadline: Deadline | None = None,
    timeout: float = COMMAND_SECONDS,
    *,
    kept: bool = False,
) -> HandlerError:
    """Log in and run a command in a thread, and return the error that it raises."""
    deadline = deadline or Deadline(SYSTEM_CLOCK, SECONDS)
    ended: list[BaseException] = []

    def attempt() -> None:
        files = port.directory
        (files / "known_hosts").write_text(f"[127.0.0.1]:{port.number} {public(files / 'host')}\n")
        ssh = Ssh("anycast", str(files / "id"), str(files / "known_hosts"))
        try:
            endpoint = Endpoint("ns1", "127.0.0.1", port.number)
            shell = SshConnection(endpoint, ssh, None, (), deadline, kept=kept)
            try:
                shell.run(("/sbin/ifdown", "lo:0"), timeout=deadline.left(timeout))
            finally:
                shell.close()
        except HandlerError as error:
            ended.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it does not end"
    assert ended, "it worked, or raised something else"
    error = ended[0]
    assert isinstance(error, HandlerError)
    assert error.exit_code == 2
    assert "\n" not in str(error)
    return error


BEFORE_LOGIN: dict[str, Talk] = {
    "silent from the start": silence,
    "hangs up": hanging_up,
    "part of a banner": saying(b"SSH-2.0-Op"),
    "not SSH": saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "not SSH, without end": dripping(b"220 mail.example.org\r\n", 0.1),
    "a letter at a time": dripping(b"x", 0.2),
    "banner, then silence": saying(BANNER),
    "banner, then garbage": saying(BANNER + b"\xff" * 1000),
    "banner, then noise": saying(BANNER + b"\x00\x00\x00\x0c\x0a" + b"\x00" * 11),
}


@pytest.mark.parametrize("talk", BEFORE_LOGIN.values(), ids=BEFORE_LOGIN.keys())
def test_a_server_that_never_gets_to_the_login_is_unreachable(port: Port, talk: Talk) -> None:
    with serve(port, talk):
        error = failure(port)
    assert port.accepted.is_set()
    assert isinstance(error, UnreachableError)
    assert str(error).startswith(f"127.0.0.1 port {port.number}: ")


class _SetBack:
    """Stands for the module `time`, whose clock of the wall is set back by an hour."""

    def __init__(self) -> None:
        self._until = time.monotonic() + 0.4

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return time.time() - (3600 if time.monotonic() > self._until else 0)


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
def test_a_clock_that_is_set_back_makes_no_login_longer(
    port: Port, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """paramiko counts the seconds of the key exchange by the clock of the wall."""
    with serve(port, saying(BANNER)):
        monkeypatch.setattr("paramiko.transport.time", _SetBack())
        error = failure(port, kept=kept)
    assert isinstance(error, UnreachableError)


def test_what_sshd_says_instead_of_its_banner_is_shown(port: Port) -> None:
    """Since OpenSSH 9.8 sshd turns away for a time whoever has failed to log in too often."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"Not allowed at this time\r\n\x1b[31m" + b"x" * 1000)

    with serve(port, talk):
        error = failure(port)
    assert isinstance(error, UnreachableError)
    expected = f'127.0.0.1 port {port.number}: no SSH banner: it said "Not allowed at this time ['
    assert str(error).startswith(expected)
    assert len(str(error)) < 300


def test_what_sshd_says_when_it_disconnects_is_shown(port: Port) -> None:
    with serve(port, deaf(port.directory / "host", "disconnect")):
        error = failure(port, Deadline(SYSTEM_CLOCK, IN_SESSION))
    assert isinstance(error, UnreachableError)
    assert "the login did not end: it disconnected: Too many" in str(error)


def test_a_host_that_does_not_answer_at_all_is_unreachable(port: Port) -> None:
    with full_backlog(port):
        error = failure(port)
    assert isinstance(error, UnreachableError)
    assert "no connection within" in str(error)


@pytest.mark.parametrize(
    ("stops_at", "kind", "said"),
    [
        ("login", UnreachableError, "the login did not end"),
        ("channel", UnreachableError, "no channel for /sbin/ifdown"),
        ("no channel", UnreachableError, "no channel for /sbin/ifdown"),
        ("command", OutcomeUnknownError, "/sbin/ifdown lo:0: sent, outcome unknown"),
        ("no command", OutcomeUnknownError, "/sbin/ifdown lo:0: sent, outcome unknown"),
        ("end", OutcomeUnknownError, "/sbin/ifdown lo:0: sent, outcome unknown"),
    ],
)
def test_a_server_that_stops_in_the_session(
    port: Port, stops_at: str, kind: type[HandlerError], said: str
) -> None:
    with serve(port, deaf(port.directory / "host", stops_at)):
        error = failure(port, Deadline(SYSTEM_CLOCK, IN_SESSION))
    assert type(error) is kind
    assert said in str(error)


def test_no_channel_leaves_time_for_another_connection(port: Port) -> None:
    """A command may take long to run, but not to start."""
    deadline, patient = Deadline(SYSTEM_CLOCK, PATIENCE), PATIENCE / 2
    with serve(port, deaf(port.directory / "host", "channel")):
        error = failure(port, deadline, patient)
    assert isinstance(error, UnreachableError)
    assert deadline.left(patient) == patient


def test_the_deadline_leaves_nothing_running_here(port: Port) -> None:
    """A thread or a socket that is left over would keep the handler from ending."""
    before = set(threading.enumerate())
    with serve(port, deaf(port.directory / "host", "command")):
        failure(port)
        mine = [t for t in threading.enumerate() if t not in before and not t.daemon]
    assert mine == []


class Hasty(Clock):
    """A clock on which waiting takes no time of the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_who_tried_until_the_time_was_up_says_how_often_and_how_long() -> None:
    def connect(_: Deadline) -> Connection:
        raise UnreachableError("ns1: no connection within 0.1 s")

    deadline = Deadline(Hasty(), 0.6)
    last = r"^ns1: no connection within 0\.1 s \(2 tries in 0\.5 s\)$"
    with pytest.raises(UnreachableError, match=last):
        Session(connect, deadline, deadline)


def test_who_ends_before_the_time_is_up_says_so_too() -> None:
    def connect(_: Deadline) -> Connection:
        raise UnreachableError("ns1: Connection refused")

    deadline = Deadline(Hasty(), 60)
    with pytest.raises(UnreachableError, match=r"^ns1: Connection refused \(4 tries in 3\.5 s\)$"):
        Session(connect, deadline, deadline)
