"""A lab that a cluster of Icinga watches: masters, and zones of satellites below them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lab import Host, Lab, monitoring
from lab.icinga import HEALTH, endpoints
from lab.icinga_zones import Node, Zone, known, nodes
from lab.topology import MON, Place
from lab.waiting import wait_until
from tests.lab.monitored import LOG

PACE = "timeout = 0.5, interval = 2s, retry = 1s, attempts = 2, control_interval = 4s"
START_SECONDS, FAILOVER_SECONDS = 120.0, 60.0
ZONES_HOST = """
object Host "zones" { check_command = "dummy"; vars.anycast_zones = true }
"""


class Region(NamedTuple):
    """A zone below the masters: its satellites, and the endpoints for which it alone acts."""

    name: str
    satellites: tuple[Place, ...]
    endpoints: tuple[Place, ...]

    def zone(self) -> Zone:
        hosts = endpoints(PACE, places=self.endpoints)
        return Zone(self.name, self.satellites, hosts, "master")


class Cluster:
    """A lab, the nodes of its cluster by name, and its regions."""

    def __init__(
        self, lab: Lab, nodes: dict[str, Node], masters: Sequence[Place], regions: Sequence[Region]
    ) -> None:
        self.lab = lab
        self.nodes = nodes
        self.masters = [place.name for place in masters]
        self.regions = regions
        self.master = nodes[self.masters[0]]

    def decisions(self, name: str) -> list[dict[str, Any]]:
        """Read the log of one node; it has none before its handler has decided anything."""
        return [json.loads(line) for line in self.host(name).run(["cat", LOG]).stdout.splitlines()]

    def host(self, name: str) -> Host:
        return self.lab.host(name)

    def acts(self, endpoint: str) -> list[tuple[str, str]]:
        """List what was done to an endpoint, by whom: the node of the cluster and the act."""
        entries = [(node, entry) for node in self.nodes for entry in self.decisions(node)]
        acts = [
            (entry["commands"][0]["at"], node, entry["action"])
            for node, entry in entries
            if entry["endpoint"] == endpoint and entry["commands"]
        ]
        # An entry is written when its run ends, which watches the routing for seconds: another
        # node may have brought the endpoint back by then.
        return [(node, action) for _, node, action in sorted(acts)]

    def forget(self) -> None:
        """Remove all logs."""
        for node in self.nodes:
            self.host(node).run(["rm", "-f", LOG], check=True)

    def region_of(self, endpoint: str) -> Region:
        return next(one for one in self.regions if endpoint in [p.name for p in one.endpoints])

    def join(self, place: Place) -> None:
        """Let a second master join, and start it."""
        assert self.masters == [MON.name]
        zones = [
            Zone("master", (MON, place), ZONES_HOST),
            *(region.zone() for region in self.regions),
        ]
        for zone in zones:
            for one in zone.nodes:
                if one.name in self.nodes:
                    self.nodes[one.name].learn(known(zones, zone))
        self.nodes[place.name] = Node(self.host(place.name), zones, self.master)
        self.nodes[place.name].start()
        self.masters.append(place.name)

    def wait_until_routed(self, *away: str, seconds: float = FAILOVER_SECONDS) -> None:
        """Wait until the router sends to all endpoints but these."""
        names = tuple(place.name for place in self.lab.places if place.name not in away)
        what = f"all but {' '.join(away)} in the routing"
        wait_until(lambda: self.lab.routed() == names, what, seconds)

    def fails_and_recovers(self, endpoint: str, seconds: float = FAILOVER_SECONDS) -> None:
        """Kill the resolver of an endpoint, wait, repair it, wait; only its zone acts, and once."""
        self.forget()
        resolver = self.lab.endpoint(endpoint).resolver
        resolver.kill()
        self.wait_until_routed(endpoint, seconds=seconds)
        resolver.repair()
        self.wait_until_routed(seconds=seconds)
        self.assert_its_zone_acted(endpoint)

    def assert_its_zone_acted(self, endpoint: str) -> None:
        """Each act was done once, by one of the zone's satellites; no master decided anything."""
        wait_until(lambda: len(self.acts(endpoint)) >= 2, "both acts are in the logs")
        acts = self.acts(endpoint)
        assert [act for _, act in acts] == ["withdraw", "restore"], acts
        satellites = {place.name for place in self.region_of(endpoint).satellites}
        assert {node for node, _ in acts} <= satellites
        others = set(self.nodes) - satellites
        found = {node: self.decisions(node) for node in others}
        assert not any(entry["endpoint"] == endpoint for log in found.values() for entry in log)
        assert not any(found[master] for master in self.masters)


@contextmanager
def clustered_lab(
    venv: Path, masters: tuple[Place, ...], regions: Sequence[Region]
) -> Iterator[Cluster]:
    """Build the lab and its cluster; each node has handler, keys and a fleet file, masters too."""
    places = [place for region in regions for place in region.endpoints]
    satellites = [place for region in regions for place in region.satellites]
    with Lab(venv=venv, hold_down=3, places=places, others=satellites) as lab:
        for place in (*masters[1:], *satellites):
            monitoring.make_like(lab.host(place.name), lab.mon)
        for region in regions:
            for place in region.satellites:
                fleet = monitoring.fleet(region.endpoints, hold_down=3)
                lab.host(place.name).write(monitoring.FLEET_FILE, fleet)
        zones = [Zone("master", masters, ZONES_HOST), *(region.zone() for region in regions)]
        made = nodes(lab.hosts, zones)
        first, *others = made.values()
        first.start()
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(node.start) for node in others]:
                started.result()
        for place in places:
            first.wait_for(place.name, HEALTH, "OK", seconds=START_SECONDS)
        yield Cluster(lab, made, masters, regions)
