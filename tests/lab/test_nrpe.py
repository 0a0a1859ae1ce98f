"""NRPE instead of SSH: the same job, and no harm where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.daemon import Daemon
from lab.icinga import Icinga, endpoints
from lab.monitoring import PLUGINS
from lab.nrpe import COMMANDS, start_everywhere
from lab.topology import VIP_NAME
from tests.lab.monitored import PACE, Monitored, packets_dropped


class ByNrpe(Monitored):
    """A lab whose endpoints Icinga gets to by NRPE."""

    def __init__(self, lab: Lab, icinga: Icinga, daemon: Daemon) -> None:
        super().__init__(lab, icinga)
        self.daemon = daemon


@pytest.fixture(scope="module")
def made(venv: Path) -> Iterator[ByNrpe]:
    with Lab(venv=venv, hold_down=3) as lab:
        daemons = start_everywhere(lab)
        icinga = Icinga(lab.mon, endpoints(f'{PACE}, transport = "nrpe", check_timeout = 3'))
        icinga.start()
        yield ByNrpe(lab, icinga, daemons[0])


@pytest.fixture
def monitored(made: ByNrpe) -> ByNrpe:
    made.daemon.repair()
    made.restart()
    return made


def test_a_failed_resolver_leaves_by_itself_and_comes_back(monitored: ByNrpe) -> None:
    monitored.fails_and_recovers()


def test_the_routing_can_be_asked_by_nrpe(monitored: ByNrpe) -> None:
    for check in ("route", "pool"):
        nrpe = [f"{PLUGINS}/check_nrpe", "-H", monitored.ns1.place.address]
        ended = monitored.lab.mon.run([*nrpe, "-c", f"{check}_anycast_{VIP_NAME}"], user="nagios")
        assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("cut", ["kill", "hang"])
def test_without_nrpe_nothing_is_withdrawn(monitored: ByNrpe, cut: str) -> None:
    getattr(monitored.daemon, cut)()
    monitored.ns1.resolver.kill()
    monitored.assert_unknown_and_untouched()


def test_where_packets_are_dropped_nothing_is_withdrawn(monitored: ByNrpe) -> None:
    with packets_dropped(monitored.ns1.host):
        monitored.ns1.resolver.kill()
        monitored.assert_unknown_and_untouched()


def test_a_command_that_nrpe_does_not_have(monitored: ByNrpe) -> None:
    ns1, daemon = monitored.ns1.host, monitored.daemon
    lines = ns1.read(COMMANDS)
    daemon.kill()
    ns1.write(COMMANDS, "")
    try:
        daemon.start()
        monitored.assert_unknown_and_untouched()
    finally:
        ns1.write(COMMANDS, lines)
        daemon.kill()
