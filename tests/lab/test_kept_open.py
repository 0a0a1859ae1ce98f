"""Probes over one SSH connection that stays open: the same job, and no harm where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.icinga import HEALTH
from lab.sshd import signal_sessions
from lab.waiting import wait_until
from tests.lab.monitored import Monitored, monitored_lab, packets_dropped


@pytest.fixture(scope="module")
def made(venv: Path) -> Iterator[Monitored]:
    with monitored_lab(venv) as made:
        yield made


@pytest.fixture
def monitored(made: Monitored) -> Monitored:
    made.restart()
    return made


def logins(monitored: Monitored) -> int:
    lines = monitored.ns1.host.read("/var/log/sshd.log").splitlines()
    return sum("Accepted publickey for check" in line for line in lines)


def wait_for_checks(monitored: Monitored, number: int) -> None:
    seen: set[float] = set()

    def enough() -> bool:
        seen.add(monitored.icinga.service("ns1", HEALTH).checked)
        return len(seen) > number

    wait_until(enough, f"{number} checks")


def test_one_login_does_for_many_probes(monitored: Monitored) -> None:
    wait_for_checks(monitored, 1)
    before = logins(monitored)
    wait_for_checks(monitored, 4)
    assert logins(monitored) == before


def test_a_failed_resolver_leaves_by_itself_and_comes_back(monitored: Monitored) -> None:
    monitored.fails_and_recovers()


def test_a_connection_that_hangs_is_made_anew_and_nothing_withdrawn(monitored: Monitored) -> None:
    before = logins(monitored)
    signal_sessions(monitored.ns1.host, "check", "STOP")
    try:
        wait_until(lambda: logins(monitored) > before, "a new login beside the hung one")
        monitored.icinga.wait_for("ns1", HEALTH, "OK")
        assert monitored.acts() == []
    finally:
        signal_sessions(monitored.ns1.host, "check", "KILL")


def test_where_packets_are_dropped_nothing_is_withdrawn(monitored: Monitored) -> None:
    with packets_dropped(monitored.ns1.host):
        monitored.ns1.resolver.kill()
        monitored.assert_unknown_and_untouched()


@pytest.mark.parametrize("end", ["endpoint", "monitoring host"])
def test_a_connection_that_ends_is_made_anew(monitored: Monitored, end: str) -> None:
    before = logins(monitored)
    if end == "endpoint":
        signal_sessions(monitored.ns1.host, "check", "KILL")
    else:
        monitored.lab.mon.run(
            ["pkill", "-KILL", "-f", "^ssh: /var/lib/anycast-handler"], check=True
        )
    wait_until(lambda: logins(monitored) > before, "a new login")
    monitored.icinga.wait_for("ns1", HEALTH, "OK")
    assert monitored.acts() == []
