"""A zone of satellites below a master: it acts alone, and the master hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.icinga import HEALTH
from lab.topology import ENDPOINTS, MON, Place
from tests.lab.clustered import Cluster, Region, clustered_lab

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
