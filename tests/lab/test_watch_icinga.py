"""The watcher and a real Icinga 2 on one monitoring host, by the stock templates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.bench.night import kill
from lab.icinga import CONTROL, HEALTH, Icinga, endpoints
from lab.icinga_watcher import prepare
from lab.waiting import wait_until
from tests.lab.scene import Scene
from tests.lab.watched import lab_names, watching

PACE = "interval = 1m, retry = 1, attempts = 3, control_interval = 1m, route = false"


@pytest.fixture(scope="module")
def lab(venv: Path) -> Iterator[Lab]:
    with Lab(venv=venv) as lab:
        yield lab


def test_what_most_fail_of_at_once_is_left_to_a_person_by_icinga_too(lab: Lab) -> None:
    """Icinga is told of each failure, and calls the handler for it."""
    objects, table = prepare(lab.mon)
    icinga = Icinga(lab.mon, objects + endpoints(PACE))
    icinga.start()
    try:
        scene = Scene(lab)
        scene.set_fleet(f"{scene.fleet.replace('hold_down = 0', 'spacing = 0')}{table}")
        lab.install_gate()
        with watching(lab) as watch:
            for name in lab_names(lab):
                icinga.wait_for(name, HEALTH, "OK")
            kill([endpoint.host.pid for endpoint in lab.endpoints])
            watch.says("common-cause: ")

            def refused() -> set[str]:
                by_icinga = [one for one in scene.log() if one["verb"] == "event"]
                return {one["endpoint"] for one in by_icinga if one["rule"] == "common-cause"}

            wait_until(lambda: len(refused()) == len(lab.endpoints), "all are refused", 30)
            for name in lab_names(lab):
                found = icinga.wait_for(name, CONTROL, "CRITICAL")
                assert " not before 20" in found.output
            assert not [one for one in scene.log() if one["action"] == "withdraw"]
            assert all(endpoint.announced for endpoint in lab.endpoints)
    finally:
        icinga.stop()
