"""Two masters, two zones of two satellites, twelve endpoints in four sites; only with --all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.icinga import HEALTH
from lab.topology import CLIENT, MON, Place
from tests.lab.clustered import FAILOVER_SECONDS, Cluster, Region, clustered_lab

SITES = {"fra": 10, "ams": 13, "nyc": 16, "sjc": 19}
SITE = {
    site: tuple(Place(f"{site}{n + 1}", link + n) for n in range(3)) for site, link in SITES.items()
}
REGIONS = (
    Region("eu", (Place("sateu1", 31), Place("sateu2", 32)), SITE["fra"] + SITE["ams"]),
    Region("us", (Place("satus1", 33), Place("satus2", 34)), SITE["nyc"] + SITE["sjc"]),
)
ENDPOINTS = [place.name for region in REGIONS for place in region.endpoints]
EU = REGIONS[0]
# Icinga holds the authority over a zone back for 30 s after a start, and takes a satellite that was
# killed for gone after 10 s and more.
TAKE_OVER_SECONDS = 120.0


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cluster(venv: Path) -> Iterator[Cluster]:
    with clustered_lab(venv, (MON, CLIENT), REGIONS) as cluster:
        yield cluster


@contextmanager
def cut_off(cluster: Cluster, region: Region) -> Iterator[None]:
    """Drop all that the satellites of a region send to the masters."""
    routes = [f"blackhole {place.address}/32" for place in (MON, CLIENT)]
    hosts = [cluster.host(place.name) for place in region.satellites]
    for host in hosts:
        for route in routes:
            host.run(["ip", "route", "add", *route.split()], check=True)
    try:
        yield
    finally:
        for host in hosts:
            for route in routes:
                host.run(["ip", "route", "del", *route.split()], check=True)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_each_endpoint_is_withdrawn_by_its_own_zone(cluster: Cluster, endpoint: str) -> None:
    cluster.fails_and_recovers(endpoint)


def test_where_a_satellite_is_killed_the_other_one_finishes(cluster: Cluster) -> None:
    """The one that owns the health service dies right after the endpoint."""
    service = cluster.master.api.ask("GET", f"objects/services/fra1!{HEALTH}")["results"][0]
    owner = service["attrs"]["last_check_result"]["check_source"]
    cluster.forget()
    resolver = cluster.lab.endpoint("fra1").resolver
    resolver.kill()
    cluster.nodes[owner].kill()
    cluster.wait_until_routed("fra1", seconds=TAKE_OVER_SECONDS)
    resolver.repair()
    cluster.wait_until_routed(seconds=TAKE_OVER_SECONDS)
    cluster.assert_its_zone_acted("fra1")
    cluster.nodes[owner].start()
    cluster.master.wait_for("zones", "anycast-zone-eu", "OK", seconds=TAKE_OVER_SECONDS)


def test_a_zone_that_is_cut_off_goes_on_and_the_masters_learn_it_later(cluster: Cluster) -> None:
    """Meanwhile the masters know that they know nothing of it."""
    cluster.forget()
    resolver = cluster.lab.endpoint("ams1").resolver
    with cut_off(cluster, EU):
        cluster.master.wait_for("zones", "anycast-zone-eu", "CRITICAL", seconds=FAILOVER_SECONDS)
        assert cluster.master.service("zones", "anycast-zone-us").state == "OK"
        resolver.kill()
        cluster.wait_until_routed("ams1")
        assert cluster.master.service("ams1", HEALTH).state == "OK"
    cluster.master.wait_for("ams1", HEALTH, "CRITICAL", seconds=TAKE_OVER_SECONDS)
    cluster.master.wait_for("zones", "anycast-zone-eu", "OK", seconds=TAKE_OVER_SECONDS)
    resolver.repair()
    cluster.wait_until_routed()
    cluster.master.wait_for("ams1", HEALTH, "OK", seconds=FAILOVER_SECONDS)
    cluster.assert_its_zone_acted("ams1")


def test_where_a_whole_site_dies_the_rest_of_the_zone_goes_on(cluster: Cluster) -> None:
    """The floor of the zone is three of its six; the other zone is as it was."""
    cluster.forget()
    resolvers = [cluster.lab.endpoint(place.name).resolver for place in SITE["sjc"]]
    for resolver in resolvers:
        resolver.kill()
    names = [place.name for place in SITE["sjc"]]
    cluster.wait_until_routed(*names, seconds=TAKE_OVER_SECONDS)
    for resolver in resolvers:
        resolver.repair()
    cluster.wait_until_routed(seconds=TAKE_OVER_SECONDS)
    for name in names:
        cluster.assert_its_zone_acted(name)


def test_without_any_master_each_zone_goes_on(cluster: Cluster) -> None:
    """This test comes last, since the masters do not come back."""
    for name in cluster.masters:
        cluster.nodes[name].kill()
    for endpoint in ("fra2", "nyc2"):
        cluster.fails_and_recovers(endpoint)
