"""A person withdraws and restores, while 1,000 queries come a second, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import Lab, frr, monitoring
from lab.load import Load, Query
from lab.topology import STYLES, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import Scene
from tests.lab.test_routing_matrix import ROWS, Row

OTHERS = ("ns2", "ns3")
DRAIN = 10
# scripts/bench planned has more runs.
RATE, LEAST, RUNS = 1000, 10_000, 2
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
def planned(venv: Path, row: Row, drain: float = DRAIN, style: str = STYLES[0]) -> Iterator[Scene]:
    """Give a lab in which endpoints go on answering."""
    with Lab(venv=venv, speaks=row.speaks, places=row.places, style=style) as lab:
        set_drain(lab, drain)
        for endpoint in lab.endpoints:
            # Otherwise the kernel lets unbound send no datagram from an absent address of IPv6.
            endpoint.host.run(["sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"], check=True)
        lab.install_gate()
        scene = Scene(lab)
        set_drain(lab, drain)
        # OSPF of BIRD needs some seconds after a start until an endpoint can count.
        wait_until(lambda: scene.by_hand("withdraw", "--dry-run")[0] == 0, "it may be withdrawn")
        yield scene


def set_drain(lab: Lab, drain: float) -> None:
    lab.mon.write(monitoring.FLEET_FILE, monitoring.fleet(lab.places, hold_down=0, drain=drain))


def round_trip(scene: Scene, least: int = LEAST) -> Asked:
    """Withdraw and restore by hand, and go on asking meanwhile and until enough were asked."""
    lab, vip = scene.lab, scene.ns1.place.vip
    datagrams = Load(lab.client, server=vip, rate=RATE)
    connections = Load(lab.client, server=vip, rate=50, over="tcp")
    try:
        wait_until(lambda: len(datagrams.queries()) > RATE / 2, "queries are answered")
        for verb, routed in (("withdraw", OTHERS), ("restore", ("ns1", *OTHERS))):
            code, said = scene.by_hand(verb, "--reason", "a trial")
            assert code == 0, said
            wait_until(lambda: lab.routed() == routed, f"{verb} is seen on the router", 20)  # noqa: B023
            assert not is_answering_by_route(scene)
        wait_until(lambda: len(datagrams.queries()) >= least, "enough were asked", 60)
    finally:
        asked, called = datagrams.stop(), connections.stop()
    return Asked(len(asked), lost_of(asked), len(called), lost_of(called))


def is_answering_by_route(scene: Scene) -> bool:
    family = "-6" if scene.ns1.place.is_ipv6 else "-4"
    return ADDED in scene.ns1.host.run(["ip", family, "route", "show", "table", "local"]).stdout


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
    # A router follows an external route at once, and a network of a router only by an SPF.
    with planned(venv, ROWS[0], style="network") as scene:
        timers = f"timers throttle spf {delay * 1000} {delay * 1000} {delay * 1000}"
        frr.configure(scene.lab.router, "ospfd", "router ospf", timers)
        asked = round_trip(scene)
        assert asked.is_whole, asked
        load = Load(scene.lab.client, rate=RATE)
        wait_until(lambda: len(load.queries()) > RATE / 2, "queries are answered")
        scene.ns1.host.run(["ifdown", "lo:0"], check=True)
        wait_until(lambda: scene.lab.routed() == OTHERS, "the router follows", 20)
        # A third of the queries, for so long.
        assert len(lost_of(load.stop())) > RATE * delay / 6


def test_a_connection_that_is_lost_in_the_middle_leaves_what_the_next_run_takes_away(
    request: pytest.FixtureRequest, venv: Path
) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("a connection that is lost, which --all has")
    with planned(venv, ROWS[0], drain=3) as scene:
        host = scene.ns1.host
        argv = ["anycast-handler", "withdraw", VIP_NAME, "ns1"]
        withdrawal = scene.lab.mon.popen(argv, user="nagios", stdout=subprocess.PIPE)
        wait_until(lambda: not scene.is_announced(), "the address has gone")
        host.run(["ip", "link", "set", "eth0", "down"], check=True)
        said, _ = withdrawal.communicate(timeout=60)
        assert withdrawal.returncode == 2, said
        assert is_answering_by_route(scene)
        host.run(["ip", "link", "set", "eth0", "up"], check=True)
        # Others wait until the time is over for which that run has asked.
        wait_until(lambda: scene.enforce("OK") and not is_answering_by_route(scene), "over", 60)
        assert not scene.is_announced()
        assert scene.by_hand("restore")[0] == 0
