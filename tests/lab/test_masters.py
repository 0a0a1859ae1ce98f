"""Two Icinga 2 masters in one zone: one is enough, and both together do no harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Host, Lab, monitoring
from lab.icinga import HEALTH, endpoints
from lab.icinga_zones import Node, Zone, nodes
from lab.topology import CLIENT, ENDPOINTS, MON
from lab.waiting import wait_until
from tests.lab.monitored import LOG, PACE

FAILOVER_SECONDS = 120.0


class Pair:
    """A lab with two masters."""

    def __init__(self, lab: Lab, first: Node, second: Node) -> None:
        self.lab = lab
        self.first = first
        self.second = second

    def decisions(self, host: Host) -> list[dict[str, Any]]:
        return [json.loads(line) for line in host.run(["cat", LOG]).stdout.splitlines()]

    def acts(self, host: Host) -> list[str]:
        """List what the handler of one master has done."""
        found = [entry["action"] for entry in self.decisions(host) if entry["commands"]]
        return [action for action in found if action in ("withdraw", "restore")]


@pytest.fixture(scope="module")
def pair(venv: Path) -> Iterator[Pair]:
    with Lab(venv=venv, hold_down=3) as lab:
        monitoring.make_like(lab.client, lab.mon)
        first, second = nodes(lab.hosts, [Zone("master", (MON, CLIENT), endpoints(PACE))]).values()
        first.start()
        second.start()
        for master in (first, second):
            for place in ENDPOINTS:
                master.wait_for(place.name, HEALTH, "OK", seconds=FAILOVER_SECONDS)
        yield Pair(lab, first, second)


def test_both_together_do_the_job(pair: Pair) -> None:
    """Each act happens once, or twice without harm; the log of each master tells why."""
    ns1 = pair.lab.endpoint("ns1")
    ns1.resolver.kill()
    wait_until(lambda: pair.lab.routed() == ("ns2", "ns3"), "ns1 has left the routing", 60)
    ns1.resolver.repair()
    wait_until(lambda: len(pair.lab.routed()) == 3, "ns1 is back", 60)
    wait_until(lambda: "restore" in pair.acts(pair.lab.mon) + pair.acts(pair.lab.client), "logged")
    acts = pair.acts(pair.lab.mon) + pair.acts(pair.lab.client)
    assert sorted(set(acts)) == ["restore", "withdraw"]
    assert len(acts) <= 4
    entries = pair.decisions(pair.lab.mon) + pair.decisions(pair.lab.client)
    assert all(entry["rule"] and entry["reason"] is not None for entry in entries)


def test_where_one_is_killed_the_other_finishes(pair: Pair) -> None:
    """This test comes last in the module, because the first master does not come back."""
    ns1 = pair.lab.endpoint("ns1")
    ns1.resolver.kill()
    pair.first.kill()
    wait_until(
        lambda: pair.lab.routed() == ("ns2", "ns3"), "ns1 has left the routing", FAILOVER_SECONDS
    )
    ns1.resolver.repair()
    wait_until(lambda: len(pair.lab.routed()) == 3, "ns1 is back", FAILOVER_SECONDS)
    wait_until(lambda: "restore" in pair.acts(pair.lab.client), "the second one has logged it")
