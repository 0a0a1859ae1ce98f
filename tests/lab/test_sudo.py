"""sudo on an endpoint that is its own resolver, and whose own name is not in /etc/hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from lab.topology import VIP
from tests.lab.scene import Scene


@pytest.fixture(scope="module", params=[False, True], ids=["sudoers-by-hand", "gate"])
def labs(venv: object, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab whose endpoints have the sudoers file of the README, or that of the gate."""
    with Lab(venv=request.getfixturevalue("venv"), gate=request.param) as lab:
        yield lab


def test_the_endpoint_cannot_look_up_its_own_name(labs: Lab) -> None:
    """Otherwise the other tests here would prove nothing."""
    scene = Scene(labs)
    assert "ns1" not in scene.ns1.host.read("/etc/hosts")
    assert scene.ns1.host.run(["getent", "hosts", "ns1"]).returncode != 0


@pytest.mark.parametrize("how", ["kill", "hang"])
def test_a_dead_resolver_does_not_keep_sudo_from_withdrawing_it(labs: Lab, how: str) -> None:
    """A sudo that waits for the hung resolver would run its command after the handler has ended."""
    scene = Scene(labs)
    getattr(scene.ns1.resolver, how)()
    code, said = scene.event("CRITICAL")
    assert code == 0, said
    assert f"ns1: {VIP} withdrawn by ifdown lo:0" in said
    assert not scene.is_announced()
    scene.ns1.resolver.repair()
    code, said = scene.event("OK")
    assert code == 0, said
    assert scene.is_announced(), said
