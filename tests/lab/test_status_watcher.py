"""`status --watcher` beside a real watcher and real endpoints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import Lab
from lab.sshd import daemon, signal_sessions
from lab.topology import VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import Scene
from tests.lab.watched import QUICK, watching

WELL = "3 of 3 announce"
# The watcher looks at each endpoint once a minute, the first time spread over the first minute.
LOOKED_SECONDS = 90.0


@pytest.fixture
def scene(lab: Lab) -> Scene:
    scene = Scene(lab)
    scene.set_fleet(scene.fleet.replace("hold_down = 0", QUICK))
    return scene


def told(scene: Scene, *more: str) -> tuple[int, str]:
    ended = scene.handler("status", "--watcher", *more)
    return ended.returncode, ended.stdout


def row(scene: Scene, name: str = "ns1") -> dict[str, Any]:
    found = json.loads(told(scene, "--json")[1])
    (one,) = [row for row in found if row["endpoint"] == name]
    assert isinstance(one, dict)
    return one


def test_it_shows_what_happens_and_who_holds_what(scene: Scene) -> None:
    with watching(scene.lab):
        wait_until(lambda: told(scene)[0] == 0, "all are known", LOOKED_SECONDS)
        code, output = told(scene)
        first, head, *lines = output.splitlines()
        assert first.startswith("watcher: state and presence "), output
        assert head.split()[2:] == ["STATE", "ADDRESS", "ROUTING", "LATCH", "HOLD"]
        assert (code, WELL in lines[-1]) == (0, True), output
        assert scene.handler("hold", VIP_NAME, "ns2", "--reason", "rack").returncode == 0
        scene.ns1.resolver.kill()
        wait_until(lambda: row(scene)["latch"], "it is shown as withdrawn", 20)
        code, output = told(scene)
        (shown,) = [line.split() for line in output.splitlines() if " ns1 " in line]
        assert shown == [VIP_NAME, "ns1", "WARNING", "absent", "not", "yes", "-"], output
        assert "ns1: by the last look or act: " in output
        wait_until(lambda: row(scene, "ns2")["hold"], "the hold is shown", LOOKED_SECONDS)
        code, output = told(scene)
        assert "ns2: held by nagios" in output
        assert output.splitlines()[-1].startswith(f"{VIP_NAME}: 2 of 3 announce")
    assert "no watcher runs on this host" in told(scene)[1]


def test_a_stream_that_is_lost_is_a_row_with_its_reason(scene: Scene) -> None:
    listener = daemon(scene.ns1.host)
    with watching(scene.lab):
        wait_until(lambda: told(scene)[0] == 0, "all are known", LOOKED_SECONDS)
        try:
            listener.kill()
            signal_sessions(scene.ns1.host, "anycast")
            wait_until(lambda: row(scene)["error"], "it is not heard", 20)
            code, output = told(scene)
        finally:
            listener.repair()
    assert code == 2, output
    assert "1 unknown" in output
