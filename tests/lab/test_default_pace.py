"""The templates as they are: what their settings promise, with a real Icinga 2."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.icinga import HEALTH
from lab.waiting import wait_until
from tests.lab.monitored import Monitored, monitored_lab

# Twice what the template promises, since other things may run on this machine.
REFUSING, SILENT = 12.0, 24.0


@pytest.fixture(scope="module")
def monitored(venv: Path) -> Iterator[Monitored]:
    with monitored_lab(venv, "control_interval = 3s") as made:
        yield made


@pytest.mark.parametrize(("how", "seconds"), [("kill", REFUSING), ("hang", SILENT)])
def test_a_service_that_refuses_or_is_silent(
    monitored: Monitored, request: pytest.FixtureRequest, how: str, seconds: float
) -> None:
    for _ in range(10 if request.config.getoption("--all") else 1):
        monitored.restart()
        # From the moment after a check it takes longest.
        checked = monitored.icinga.service("ns1", HEALTH).checked
        wait_until(lambda c=checked: monitored.icinga.service("ns1", HEALTH).checked > c, "a check")  # type: ignore[misc]
        getattr(monitored.ns1.resolver, how)()
        began = time.monotonic()
        wait_until(lambda: not monitored.ns1.announced, "it is withdrawn", seconds)
        print(f"{how}: {time.monotonic() - began:.2f} s")
        wait_until(lambda: monitored.acts() == [("event", "ns1", "withdraw")], "it is logged")
