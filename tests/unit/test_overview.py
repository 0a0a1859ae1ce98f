"""A look at all endpoints: a host that carries several VIPs is asked about all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from anycast_handlers.errors import OutcomeUnknownError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.operation import overview
from anycast_handlers.operation.overview import Sight, look_at_all
from anycast_handlers.transport.clock import Clock, Deadline
from anycast_handlers.transport.shell import COMMAND_SECONDS, Query, Reply, Result

from anycast_checks.addresses import ARGV as ADDRESSES
from anycast_checks.routing import DAEMONS, ospf_vtysh
from tests.support.shell import Asked, FakeShell, Said
from tests.unit.test_doctor import usual

NS1, NS2 = Endpoint("ns1", "192.0.2.11"), Endpoint("ns2", "192.0.2.12")
RESOLVER = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check", "dns"), (NS1, NS2))
WEB = Vip("web", "10.99.0.80", "lo:1", ("/bin/check", "http"), (NS2, NS1))
SECONDS = 15.0


class Still(Clock):
    """A clock that a test sets."""

    now = 0.0

    def monotonic(self) -> float:
        """Give the time that was set."""
        return self.now


class Noting(FakeShell):
    """Notes the commands of each session."""

    def __init__(
        self, answer: Callable[[Asked], Said], sessions: list[list[tuple[str, ...]]]
    ) -> None:
        super().__init__(answer, is_root=False)
        self._sessions = sessions

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        self._sessions.append([tuple(argv)])
        return super().run(argv, stdin, timeout)

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        self._sessions.append([])
        shell = FakeShell(self._answers, is_root=False)
        replies = shell.ask_all(queries)
        self._sessions[-1] = [one.argv for one in shell.asked]
        return replies


@dataclass
class Hosts:
    """Hands out shells of hosts that only exist here, and notes each login."""

    answer: Callable[[Asked], Said]
    logins: list[str] = field(default_factory=list)
    sessions: list[list[tuple[str, ...]]] = field(default_factory=list)

    @contextmanager
    def open(
        self, endpoint: Endpoint, _deadline: Deadline, _connecting: Deadline | None = None
    ) -> Iterator[FakeShell]:
        self.logins.append(endpoint.name)
        yield Noting(self.answer, self.sessions)


def well(asked: Asked) -> Said:
    return usual(asked.argv)


def look(
    monkeypatch: pytest.MonkeyPatch, hosts: Hosts, clock: Clock | None = None, site: str = ""
) -> list[Sight]:
    monkeypatch.setattr(overview, "FreshConnections", lambda *_: hosts)
    monkeypatch.setattr(overview, "at_once", lambda do, items: [do(one) for one in items])
    fleet = Fleet("/f", Ssh("anycast", "/id", "/known"), (RESOLVER, WEB), Paths())
    return look_at_all(fleet, fleet.vips, DAEMONS, clock or Still(), SECONDS, site or None)


def named(sights: list[Sight]) -> list[tuple[str, str]]:
    return [(one.vip.name, one.endpoint.name) for one in sights]


def test_a_host_is_logged_in_to_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(well)
    sights = look(monkeypatch, hosts)
    assert hosts.logins == ["ns1", "ns2"]
    assert [bool(one.look) for one in sights] == [True] * 4


def test_the_routing_is_asked_along_with_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session costs both sides more than a question does."""
    hosts = Hosts(well)
    sights = look(monkeypatch, hosts)
    assert [one.announced for one in sights[:2]] == [True, True]
    look_and_routing = hosts.sessions[0]
    assert look_and_routing[0] == ADDRESSES
    assert look_and_routing[-1] == ospf_vtysh.argv(RESOLVER.address).by_sudo


def test_a_routing_daemon_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    question = ospf_vtysh.argv(RESOLVER.address).by_sudo

    def answer(asked: Asked) -> Said:
        return OutcomeUnknownError(asked.argv, "late") if asked.argv == question else well(asked)

    hosts = Hosts(answer)
    sights = look(monkeypatch, hosts)
    assert [bool(one.look) for one in sights] == [True] * 4
    assert "gave no answer: late" in sights[0].routing_unknown
    assert sum(question in session for session in hosts.sessions) == len(RESOLVER.endpoints)


def test_they_come_in_the_order_of_the_fleet_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(look(monkeypatch, Hosts(well))) == [
        ("resolver", "ns1"), ("resolver", "ns2"), ("web", "ns2"), ("web", "ns1"),
    ]  # fmt: skip


def test_what_is_wrong_with_one_vip_does_not_hide_another(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter([Result(1, "", "so"), usual(ADDRESSES)] * 2)

    def answer(asked: Asked) -> Said:
        return next(shown) if asked.argv == ADDRESSES else usual(asked.argv)

    sights = look(monkeypatch, Hosts(answer))
    assert [bool(one.error) for one in sights] == [True, True, False, False]


def test_who_is_lost_halfway_keeps_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = UnreachableError("192.0.2.11 port 22: gone")

    def answer(asked: Asked) -> Said:
        return lost if "10.99.0.80" in " ".join(asked.argv) else usual(asked.argv)

    sights = look(monkeypatch, Hosts(answer))
    assert [one.error for one in sights] == ["", "", str(lost), str(lost)]


@pytest.mark.parametrize(("seconds", "seen"), [(SECONDS - 1, 4), (SECONDS + 1, 2)])
def test_each_vip_has_its_time_and_a_host_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, seconds: float, seen: int
) -> None:
    clock = Still()

    def answer(asked: Asked) -> Said:
        if asked.argv == ADDRESSES:
            clock.now += seconds
        return usual(asked.argv)

    sights = look(monkeypatch, Hosts(answer), clock)
    assert [bool(one.look) for one in sights].count(True) == seen
    assert {one.error for one in sights if not one.look} <= {
        "it took too long to look at the VIPs there before this one"
    }
