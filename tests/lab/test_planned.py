"""A person withdraws and restores, while 1,000 queries come a second, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import Lab, frr, monitoring
from lab.load import Load, Query
from lab.waiting import wait_until
from tests.lab.scene import Scene
from tests.lab.test_routing_matrix import ROWS, Row

OTHERS = ("ns2", "ns3")
DRAIN = 10
RATE, LEAST, RUNS = 1000, 10_000, 10
ADDED = "proto 153"


class Asked(NamedTuple):
    """What became of the queries while an endpoint was withdrawn and restored."""

    queries: int
    lost: list[Query]
    connections: int
    cut: list[Query]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost."""
        return not self.lost and not self.cut


@contextmanager
def planned(venv: Path, row: Row, drain: float = DRAIN) -> Iterator[Scene]:
    """Give a lab in which endpoints go on answering."""
    with Lab(venv=venv, speaks=row.speaks, places=row.places) as lab:
        set_drain(lab, drain)
        for endpoint in lab.endpoints:
            # Otherwise the kernel lets unbound send no datagram from an absent address of IPv6.
            endpoint.host.run(["sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"], check=True)
        lab.install_gate()
        scene = Scene(lab)
        set_drain(lab, drain)
        yield scene


def set_drain(lab: Lab, drain: float) -> None:
    lab.mon.write(monitoring.FLEET_FILE, monitoring.fleet(lab.places, hold_down=0, drain=drain))


def round_trip(scene: Scene, least: int = LEAST) -> Asked:
    """Withdraw and restore by hand, and go on asking meanwhile and until enough were asked."""
    lab, vip = scene.lab, scene.ns1.place.vip
    datagrams = Load(lab.client, server=vip, rate=RATE)
    connections = Load(lab.client, server=vip, rate=50, over="tcp")
    wait_until(lambda: len(datagrams.queries()) > RATE / 2, "queries are answered")
    for verb, routed in (("withdraw", OTHERS), ("restore", ("ns1", *OTHERS))):
        code, said = scene.by_hand(verb, "--reason", "a trial")
        assert code == 0, said
        wait_until(lambda: lab.routed() == routed, f"{verb} is seen on the router", 20)  # noqa: B023
        assert ADDED not in scene.ns1.host.run(["ip", "route", "show", "table", "local"]).stdout
    wait_until(lambda: len(datagrams.queries()) >= least, "enough were asked", 60)
    asked, called = datagrams.stop(), connections.stop()
    return Asked(len(asked), lost_of(asked), len(called), lost_of(called))


def lost_of(queries: list[Query]) -> list[Query]:
    return [one for one in queries if one.outcome != "answered"]


def is_today(request: pytest.FixtureRequest, row: Row) -> bool:
    return row is ROWS[0] or bool(request.config.getoption("--all"))


@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
def test_nothing_is_lost(row: Row, request: pytest.FixtureRequest, venv: Path) -> None:
    if not is_today(request, row):
        pytest.skip("another day's row, which --all runs")
    runs = RUNS if request.config.getoption("--all") else 1
    with planned(venv, row) as scene:
        for _ in range(runs):
            asked = round_trip(scene)
            print(f"{row.title}: {asked.queries} and {asked.connections} over TCP", flush=True)
            assert asked.is_whole, asked
            said = scene.log()[-2]["text"]
            assert "went on answering for " in said
        if row is ROWS[0]:
            # The same without a drain loses some, so this test can fail.
            set_drain(scene.lab, 0)
            asked = round_trip(scene, 0)
            print(f"without a drain: {len(asked.lost)} of {asked.queries} are lost", flush=True)
            assert asked.lost


@pytest.mark.parametrize("delay", [1, 3])
def test_nothing_is_lost_where_the_routers_are_slow_to_learn(
    delay: int, request: pytest.FixtureRequest, venv: Path
) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("a slow network, which --all has")
    with planned(venv, ROWS[0]) as scene:
        timers = f"timers throttle spf {delay * 1000} {delay * 1000} {delay * 1000}"
        frr.configure(scene.lab.router, "ospfd", "router ospf", timers)
        assert round_trip(scene).is_whole


def test_rolling_maintenance_loses_nothing(request: pytest.FixtureRequest, venv: Path) -> None:
    """Each endpoint in turn is withdrawn, has its service restarted, and is restored."""
    if not request.config.getoption("--all"):
        pytest.skip("three endpoints in turn, which --all has")
    with planned(venv, ROWS[0]) as scene:
        load = Load(scene.lab.client, rate=RATE)
        for endpoint in scene.lab.endpoints:
            name = endpoint.place.name
            for verb in ("withdraw", "restore"):
                ended = scene.handler(verb, "resolver", name, "--reason", "an upgrade", timeout=60)
                assert ended.returncode == 0, ended.stdout
                if verb == "withdraw":
                    endpoint.resolver.kill()
                    endpoint.resolver.repair()
            wait_until(lambda: len(scene.lab.routed()) == 3, "the router sends to all", 20)
        assert lost_of(load.stop()) == []
