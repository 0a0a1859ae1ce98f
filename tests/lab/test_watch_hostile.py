"""The watcher beside an endpoint that does what it likes: the others are acted on all the same."""

from __future__ import annotations

import pytest

from lab import Lab, monitoring
from lab.topology import VIP
from lab.waiting import wait_until
from tests.lab.scene import Scene, replaced
from tests.lab.watched import LIAR, QUICK, watching


@pytest.fixture
def scene(lab: Lab) -> Scene:
    scene = Scene(lab)
    scene.set_fleet(scene.fleet.replace("hold_down = 0", QUICK))
    return scene


def test_an_endpoint_whose_check_never_ends_keeps_no_other_announced(scene: Scene) -> None:
    """It is asked ahead, however long that takes; meanwhile the queue of its VIP is free."""
    host, ns2 = scene.ns1.host, scene.lab.endpoint("ns2")
    real = host.run(["readlink", "-f", f"{monitoring.PLUGINS}/check_anycast"]).stdout.strip()
    # What it says is not what will be wrong with ns2, or both would have a common cause.
    hangs = LIAR.format(asked="sleep 600", vip=VIP, kind="wrong", pause=0.2)
    with replaced(host, real, hangs), watching(scene.lab, "ns2", "ns3") as watch:
        watch.says("not confirmed: the endpoint's own check says UNKNOWN", 40)
        wait_until(lambda: host.run(["pgrep", "-fx", "sleep 600"]).stdout, "asked")
        since = len(watch.lines)
        ns2.resolver.kill()
        watch.says("ns2 CRITICAL HARD", since=since)
        wait_until(lambda: not ns2.announced, "it is withdrawn")
        between = watch.lines[since:]
    assert not [line for line in between if "not confirmed" in line], between
