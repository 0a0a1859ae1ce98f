"""A zone of satellites below a master: it acts alone, and the master hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.icinga import HEALTH
from lab.topology import CLIENT, ENDPOINTS, MON, Place
from lab.waiting import wait_until
from tests.lab.clustered import START_SECONDS, Cluster, Region, clustered_lab

EU = Region("eu", (Place("sateu1", 31), Place("sateu2", 32)), ENDPOINTS)


@pytest.fixture(scope="module")
def cluster(venv: Path) -> Iterator[Cluster]:
    with clustered_lab(venv, (MON,), [EU]) as cluster:
        yield cluster


def test_the_zone_acts_alone_and_the_master_sees_it(cluster: Cluster) -> None:
    """The master has handler, key and fleet file as well, and reaches the endpoint."""
    cluster.fails_and_recovers("ns1")
    cluster.master.wait_for("ns1", HEALTH, "OK")
    assert cluster.master.service("zones", "anycast-zone-eu").output.endswith("connected: 2 of 2")


def test_a_master_that_joins_at_last_takes_nothing_from_the_zone(cluster: Cluster) -> None:
    """It has neither handler nor key, and half of what is in the zone of the masters is its own."""
    cluster.join(CLIENT)
    joined = cluster.nodes[CLIENT.name]

    def is_ok(host: str, name: str) -> bool:
        # It gets the configuration from the first master, and restarts with it.
        with suppress(LabError, OSError):
            return joined.service(host, name).state == "OK"
        return False

    for host, name in (("ns1", HEALTH), ("zones", "anycast-zone-eu")):
        wait_until(partial(is_ok, host, name), f"{host}!{name} on the new one", START_SECONDS)
    for endpoint in ("ns1", "ns2"):
        cluster.fails_and_recovers(endpoint, START_SECONDS)
