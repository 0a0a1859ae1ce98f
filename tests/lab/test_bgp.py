"""The main job where FRR announces the VIP in BGP, which does not tell who else announces it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.topology import VIP
from lab.waiting import wait_until
from tests.lab.scene import Scene

OTHERS = ("ns2", "ns3")


@pytest.fixture(scope="module")
def bgp(venv: Path) -> Iterator[Lab]:
    with Lab(venv=venv, speaks="frr-bgp") as lab:
        yield lab


@pytest.fixture
def scene(bgp: Lab) -> Scene:
    return Scene(bgp)


def test_a_dead_service_is_withdrawn_and_restored_and_both_are_verified(scene: Scene) -> None:
    scene.ns1.resolver.kill()
    code, said = scene.event("CRITICAL")
    assert code == 0, said
    assert scene.log()[-1]["verified"]["own_announcement"] is True, scene.log()[-1]
    assert scene.log()[-1]["others"] == 2
    wait_until(lambda: scene.lab.routed() == OTHERS, "the router sends nothing to ns1")
    scene.ns1.resolver.repair()
    code, said = scene.event("OK")
    assert code == 0, said
    assert scene.log()[-1]["verified"]["own_announcement"] is True, scene.log()[-1]
    wait_until(lambda: len(scene.lab.routed()) == 3, "the router sends to ns1 again")


def test_one_that_carries_it_and_that_no_neighbor_hears_does_not_count(scene: Scene) -> None:
    lab = scene.lab
    others = [lab.endpoint(name) for name in OTHERS]
    for other in others:
        lab.routing.shut_sessions(other.host, other.place, shut=True)
    try:
        wait_until(lambda: lab.routed() == ("ns1",), "the router sends to ns1 alone", 20)
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert "refused: 0 of 3 would announce it and the floor is 1" in said
        assert scene.is_announced()
        found = scene.handler("doctor").stdout
        assert "ns2: the BGP session with 10.0.2.1 is Idle (Admin), not Established" in found
        assert f"ns3: {VIP}/32 is on lo, but not announced in BGP" in " ".join(found.split())
    finally:
        for other in others:
            lab.routing.shut_sessions(other.host, other.place, shut=False)
    wait_until(lambda: len(lab.routed()) == 3, "all are back", 20)
