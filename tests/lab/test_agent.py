"""Icinga's agent instead of SSH: no event handler there, the control service acts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab import Lab
from lab.icinga import HEALTH, Icinga, endpoints
from lab.icinga_agent import Agent, zones
from lab.topology import ENDPOINTS
from lab.waiting import wait_until
from tests.lab.monitored import PACE, Monitored, packets_dropped

CONTROL = HEALTH.replace("health", "control")


class ByAgent(Monitored):
    """A lab whose endpoints have agents."""

    def __init__(self, lab: Lab, icinga: Icinga, agent: Agent) -> None:
        super().__init__(lab, icinga)
        self.agent = agent


@pytest.fixture(scope="module")
def made(venv: Path) -> Iterator[ByAgent]:
    with Lab(venv=venv, hold_down=3) as lab:
        hosts = endpoints(f'{PACE}, transport = "agent"')
        icinga = Icinga(lab.mon, zones(ENDPOINTS) + hosts)
        icinga.start()
        agents = [Agent(lab.host(place.name), place, icinga) for place in ENDPOINTS]
        for agent in agents:
            agent.start()
        yield ByAgent(lab, icinga, agents[0])


@pytest.fixture
def monitored(made: ByAgent) -> ByAgent:
    made.restart()
    return made


def test_a_failed_resolver_leaves_by_itself_and_comes_back(monitored: ByAgent) -> None:
    assert monitored.fails_and_recovers() == ["enforce", "enforce"]


def test_without_the_agent_nothing_is_withdrawn(monitored: ByAgent) -> None:
    """In its first five minutes Icinga keeps the last state, later on it says UNKNOWN."""
    monitored.agent.stop()
    try:
        monitored.ns1.resolver.kill()
        assert_untouched(monitored)
    finally:
        monitored.agent.start()


def test_where_packets_are_dropped_nothing_is_withdrawn(monitored: ByAgent) -> None:
    with packets_dropped(monitored.ns1.host):
        monitored.ns1.resolver.kill()
        assert_untouched(monitored)


def assert_untouched(monitored: ByAgent) -> None:
    """Have both services checked three times, which changes nothing."""

    def was_looked_at(before: float) -> bool:
        return monitored.icinga.service("ns1", CONTROL).checked > before

    for _ in range(3):
        before = time.time()
        monitored.icinga.check_now("ns1", HEALTH)
        monitored.icinga.check_now("ns1", CONTROL)
        wait_until(partial(was_looked_at, before), "the control service has looked", 40)
    assert monitored.icinga.service("ns1", HEALTH).state in ("OK", "UNKNOWN")
    assert monitored.acts() == []
    assert monitored.ns1.announced
