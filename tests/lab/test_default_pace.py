"""The templates as they are: what their settings promise, with a real Icinga 2; --all runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.icinga import HEALTH
from lab.waiting import wait_until
from tests.lab.monitored import Monitored, monitored_lab

TIMES = 6
# Twice what the template promises, since other things may run on this machine.
REFUSING, SILENT = 12.0, 24.0
ACTS = [("ns1", "withdraw")]


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def monitored(venv: Path) -> Iterator[Monitored]:
    with monitored_lab(venv, "control_interval = 3s") as made:
        yield made


@pytest.mark.parametrize(("how", "most"), [("kill", REFUSING), ("hang", SILENT)])
def test_a_service_that_refuses_or_is_silent(monitored: Monitored, how: str, most: float) -> None:
    found = []
    for _ in range(TIMES):
        monitored.restart()
        wait_for_a_check(monitored)
        getattr(monitored.ns1.resolver, how)()
        began = time.monotonic()
        wait_until(lambda: not monitored.ns1.announced, "it is withdrawn", most)
        found.append(time.monotonic() - began)
        # The control service may be checked just before the handler of the health service begins.
        wait_until(lambda: [act[1:] for act in monitored.acts()] == ACTS, "it is logged")
    print(f"{how}: {' '.join(f'{seconds:.2f}' for seconds in sorted(found))} s")


def wait_for_a_check(monitored: Monitored) -> None:
    """Wait for the moment after a check, from which a failover takes longest."""
    checked = monitored.icinga.service("ns1", HEALTH).checked
    wait_until(lambda: monitored.icinga.service("ns1", HEALTH).checked > checked, "a check")
