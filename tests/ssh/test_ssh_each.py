"""Many endpoints at once: a silent endpoint delays no other, and the work is done in turns."""

from __future__ import annotations

import re
import resource
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from anycast_handlers.errors import OutcomeUnknownError, RejectedError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Fleet, Jump, Paths, Ssh, Vip
from anycast_handlers.operation import overview
from anycast_handlers.operation.overview import look_at_all
from anycast_handlers.transport import opening
from anycast_handlers.transport import turns as turns_module
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Clock, Deadline
from anycast_handlers.transport.each import at_once
from anycast_handlers.transport.prompt_socket import PromptSocket
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.shell import FAR, Query
from anycast_handlers.transport.ssh import SshConnection
from anycast_handlers.transport.turns import AT_WORK, FAR_AT_WORK, Turns

from anycast_checks.address import Locality
from tests.ssh.server import Sshd, key, public
from tests.ssh.tarpit import Port, deaf, full_backlog, login, serve, silence

MANY = 200
PATIENCE = 60.0


class Counting(Turns):
    """Counts the turns that are taken now, and all turns that were ever taken."""

    def __init__(self) -> None:
        super().__init__(SYSTEM_CLOCK)
        self.now = self.ever = 0
        self.distances: list[float] = []

    def take(self, *deadlines: Deadline, distance: float = 0.0) -> Callable[[], None] | None:
        release = super().take(*deadlines, distance=distance)
        self.now, self.ever = self.now + 1, self.ever + 1
        self.distances.append(distance)

        def give_back() -> None:
            self.now -= 1
            assert release
            release()

        return give_back


def test_as_many_wait_at_once_as_there_are() -> None:
    """Each call waits for all the others, so they must run at the same time."""
    barrier = threading.Barrier(MANY, timeout=PATIENCE)

    def wait(number: int) -> int:
        barrier.wait()
        return number

    assert at_once(wait, range(MANY)) == list(range(MANY))
    assert at_once(wait, ()) == []


def test_each_may_have_the_two_ends_of_a_tunnel() -> None:
    """Through a bastion each connection is a pair of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    barrier = threading.Barrier(MANY)

    def hold(_: int) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            barrier.wait(PATIENCE)

    try:
        at_once(hold, range(MANY))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_error_does_not_wait_for_who_is_silent() -> None:
    """A signal does not wait either: it is an exception in the thread that waits for the others."""
    begun, over, ended = threading.Event(), threading.Event(), threading.Event()

    def do(number: int) -> None:
        if not number:
            assert begun.wait(PATIENCE)
            raise UnreachableError("ns1")
        begun.set()
        over.wait(PATIENCE)
        ended.set()

    try:
        with pytest.raises(UnreachableError):
            at_once(do, range(2))
        assert not ended.is_set()
    finally:
        over.set()
    assert ended.wait(PATIENCE)


class LookedAt(Clock):
    """A clock that a test sets, and that tells when somebody has looked at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looked = threading.Event()

    def monotonic(self) -> float:
        now = self.now
        self.looked.set()
        return now


def test_the_time_until_the_turn_is_not_ones_own() -> None:
    clock = LookedAt()
    turns = Turns(clock)
    *_, give_back = [turns.take() for _ in range(AT_WORK)]
    assert give_back
    deadline = Deadline(clock, 1.0)
    clock.looked.clear()
    waiting = threading.Thread(target=turns.take, args=(deadline, deadline))
    waiting.start()
    assert clock.looked.wait(PATIENCE)
    clock.now = 2.0
    assert deadline.passed
    give_back()
    waiting.join(PATIENCE)
    assert not deadline.passed


def test_who_is_far_away_waits_for_others_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session there mostly waits, so that many more of them may work."""
    monkeypatch.setattr(turns_module, "LONGEST_WAIT", 0.0)
    turns = Turns(SYSTEM_CLOCK)
    near, far = 0.0, 0.1
    assert all(turns.take(distance=near) for _ in range(AT_WORK))
    assert turns.take(distance=near) is None
    assert all(turns.take(distance=far) for _ in range(FAR_AT_WORK))
    assert turns.take(distance=far) is None


@pytest.mark.parametrize("distance", [None, 0.3])
def test_a_session_says_how_far_away_its_endpoint_is(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, distance: float | None
) -> None:
    if distance:
        monkeypatch.setattr(PromptSocket, "distance", distance)
    turns = Counting()
    SshConnection(sshd.endpoint(), sshd.ssh(), turns, (), Deadline(SYSTEM_CLOCK, PATIENCE)).close()
    assert [one > FAR for one in turns.distances] == [bool(distance)]


def test_who_never_speaks_takes_no_turn(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").touch()
    ssh = Ssh("anycast", str(key(tmp_path / "id")), str(tmp_path / "known_hosts"))
    port, turns = Port(tmp_path), Counting()
    connecting = Deadline(SYSTEM_CLOCK, 2.0)
    with serve(port, silence), pytest.raises(UnreachableError, match="no SSH banner within"):
        SshConnection(Endpoint("ns1", "127.0.0.1", port.number), ssh, turns, (), connecting)
    assert (turns.ever, turns.now) == (0, 0)


def test_a_session_has_a_turn_from_its_login_to_its_end(sshd: Sshd, tmp_path: Path) -> None:
    turns = Counting()
    connecting = Deadline(SYSTEM_CLOCK, PATIENCE)
    shell = SshConnection(sshd.endpoint(), sshd.ssh(), turns, (), connecting)
    assert (turns.ever, turns.now) == (1, 1)
    shell.close()
    shell.close()
    assert (turns.ever, turns.now) == (1, 0)
    stranger = sshd.ssh(key(tmp_path / "stranger"))
    with pytest.raises(RejectedError):
        SshConnection(sshd.endpoint(), stranger, turns, (), connecting)
    assert (turns.ever, turns.now) == (2, 0)


def test_an_endpoint_that_hangs_under_queries_is_given_up_once(tmp_path: Path) -> None:
    """A new login for each query would keep the lock of the VIP for as long as all of them take."""
    _, host_key = login(tmp_path)
    port, turns = Port(tmp_path), Counting()
    with serve(port, deaf(host_key, "command")):
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port.number} {public(host_key)}\n")
        ssh = Ssh("anycast", str(tmp_path / "id"), str(known))
        endpoint = Endpoint("ns1", "127.0.0.1", port.number)
        deadline = Deadline(SYSTEM_CLOCK, PATIENCE)
        connect = partial(SshConnection, endpoint, ssh, turns, (deadline,))
        shell = Session(connect, deadline, deadline)
        try:
            answers = shell.ask_all([Query(("/bin/true",), 2.0)] * 3)
        finally:
            shell.close()
    assert [type(answer) for answer in answers] == [OutcomeUnknownError] * 3
    assert (turns.ever, turns.now) == (1, 0)


def seconds_waited_for(
    monkeypatch: pytest.MonkeyPatch,
    port: Port,
    phase: str,
    seconds: float,
    silent: float,
    *,
    is_bastion: bool = False,
) -> float:
    """Tell for how long `status` has waited in that phase for an endpoint, or for its bastion."""
    monkeypatch.setattr(opening, "locality", lambda _: Locality.NOT_LOCAL)
    monkeypatch.setattr(overview, "SILENT_SECONDS", silent)
    (port.directory / "known_hosts").touch()
    known = str(port.directory / "known_hosts")
    ssh = Ssh("anycast", str(key(port.directory / "id")), known)
    at = Endpoint("ns1", port.address, port.number)
    if is_bastion:
        at = Endpoint("ns1", "192.0.2.11", jump=Jump(port.address, port.number))
    vip = Vip("resolver", "192.0.2.53", "lo:0", ("/bin/check",), (at,))
    (sight,) = look_at_all(Fleet("/f", ssh, (vip,), Paths()), (vip,), (), SYSTEM_CLOCK, seconds)
    found = re.search(rf"no {phase} within ([0-9.]+) s", sight.error)
    assert found, sight.error
    return float(found[1])


def test_who_takes_no_connection_is_given_up_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full_backlog(Port(tmp_path)) as port:
        assert seconds_waited_for(monkeypatch, port, "connection", PATIENCE, 0.3) <= 0.3


def test_who_takes_a_connection_may_be_busy_and_has_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(Port(tmp_path), silence) as port:
        assert seconds_waited_for(monkeypatch, port, "SSH banner", 2.0, 0.3) > 0.3


def test_who_is_behind_a_bastion_has_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the bastion is busy, or the endpoint is down, cannot be told apart so soon."""
    with full_backlog(Port(tmp_path)) as port:
        waited = seconds_waited_for(monkeypatch, port, "connection", 2.0, 0.3, is_bastion=True)
        assert waited > 0.3


def test_a_host_of_several_vips_is_logged_in_to_once(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "locality", lambda _: Locality.NOT_LOCAL)
    vips = tuple(
        Vip(name, f"192.0.2.{last}", "lo:0", ("/bin/check",), (sshd.endpoint(),))
        for name, last in (("resolver", 53), ("web", 80))
    )
    log = sshd.directory / "sshd.log"
    before = log.read_text().count("Accepted publickey")
    fleet = Fleet("/f", sshd.ssh(), vips, Paths())
    sights = look_at_all(fleet, vips, (), SYSTEM_CLOCK, PATIENCE)
    assert [(one.vip.name, bool(one.look)) for one in sights] == [("resolver", True), ("web", True)]
    assert log.read_text().count("Accepted publickey") == before + 1
