"""The files of docs/worldwide.rst, as the real Icinga 2 daemon of each host reads them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from anycast_handlers.activators import names
from anycast_handlers.fleet.schema import schema
from anycast_handlers.verbs._options import read_fleet
from jsonschema import Draft202012Validator

from tests.lab.icinga_alone import Icinga, needs_icinga

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = needs_icinga
SCHEMA = Draft202012Validator(schema(names()))
PAGE = Path(__file__).parents[2] / "docs" / "worldwide.rst"
FILE = re.compile(r"^``(/etc/\S+)`` on (.+)::\n\n((?:    .*\n|\n)+)", re.MULTILINE)
SYNCED = ("master", "eu", "us", "global-templates")
EU = ("fra1", "fra2", "ams1", "ams2")


def files() -> dict[tuple[str, str], str]:
    """Read the files of the page, by host and path."""
    return {
        (host, path): dedent(text)
        for path, hosts, text in FILE.findall(PAGE.read_text(encoding="utf-8"))
        for host in hosts.split(" and ")
    }


def split(text: str, moved: tuple[str, ...]) -> tuple[str, str]:
    """Give a file of hosts with those that have moved, and one with the others."""
    hosts = re.findall(r'^object Host "(\w+)"', text, re.MULTILINE)
    left = [name for name in hosts if name not in moved and name != "zones"]
    if not left:
        return text, ""
    assert left == hosts
    return "", text


def only(masters: tuple[str, ...], text: str) -> str:
    """Leave out what the page leaves out until the last zone has moved."""
    if "m2" not in masters:
        text, lines = re.subn(r'^object Endpoint "m2" .*\n', "", text, flags=re.MULTILINE)
        text, names = re.subn(r', "m2" \]', " ]", text)
        assert (lines, names) == (1, 1)
    return text


def services(
    icinga: Icinga,
    node: str,
    zones: tuple[str, ...],
    moved: tuple[str, ...] = (*EU, "nyc1", "nyc2"),
    masters: tuple[str, ...] = ("m1", "m2"),
) -> dict[str, dict[str, str]]:
    """Load what a node has, with the directories of zones.d that Icinga gives it.

    The hosts that have not ``moved`` yet are in the zone master, which has these nodes.
    """
    icinga.node = node
    page = files()
    zones_d = icinga.home / "etc" / "zones.d"
    for zone in zones:
        (zones_d / zone).mkdir(parents=True)
        for (_, path), text in page.items():
            if path.startswith(f"/etc/icinga2/zones.d/{zone}/"):
                here, left = split(text, moved)
                (zones_d / zone / Path(path).name).write_text(here)
                if left and "master" in zones:
                    (zones_d / "master" / f"{zone}.conf").write_text(left)
    for template in (icinga.home / "templates").glob("*.conf"):
        template.rename(zones_d / "global-templates" / template.name)
    result = icinga.validate(only(masters, page[node, "/etc/icinga2/zones.conf"]))
    assert result.returncode == 0, result.stdout
    assert "warning/anycast" not in result.stdout
    return icinga.services()


@pytest.mark.parametrize("node", ["m1", "m2"])
def test_the_masters_have_all_and_act_nowhere(icinga: Icinga, node: str) -> None:
    found = services(icinga, node, SYNCED)
    assert {"zones!anycast-zone-eu", "zones!anycast-zone-us"} < set(found)
    health = {name: one for name, one in found.items() if "!anycast-health-" in name}
    assert {name.partition("!")[0] for name in health} == {*EU, "nyc1", "nyc2"}
    assert {one["event_command"] for one in health.values()} == {'""'}


def test_a_satellite_acts_for_its_own_zone(icinga: Icinga) -> None:
    found = services(icinga, "sateu1", ("eu", "global-templates"))
    health = {name: one for name, one in found.items() if "!anycast-health-" in name}
    assert set(health) == {f"{name}!anycast-health-resolver" for name in EU}
    assert {one["event_command"] for one in health.values()} == {'"anycast_event"'}


@pytest.mark.parametrize("node", ["m1", "sateu1"])
@pytest.mark.parametrize("has_moved", [False, True])
def test_while_the_zones_move_one_node_acts_on_each(
    icinga: Icinga, node: str, *, has_moved: bool
) -> None:
    """The zone master has one node until the last zone has moved, as m2 could not act."""
    icinga.node = node
    above = SYNCED if node == "m1" else ("eu", "global-templates")
    found = services(icinga, node, above, EU if has_moved else (), ("m1",))
    health = {name: one for name, one in found.items() if "!anycast-health-" in name}
    acting = {
        name.partition("!")[0] for name, one in health.items() if one["event_command"] != '""'
    }
    if node == "m1":
        assert acting == {"nyc1", "nyc2"} | (set() if has_moved else {*EU})
    else:
        assert acting == ({*EU} if has_moved else set())


@pytest.mark.parametrize(("node", "rank"), [("sateu1", 0), ("sateu2", 1)])
def test_both_satellites_have_the_fleet_of_their_zone(tmp_path: Path, node: str, rank: int) -> None:
    page = files()
    texts = {name: page[node, f"/etc/anycast/{name}"] for name in ("fleet.toml", "zone.toml")}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    fleet = read_fleet(str(tmp_path / "fleet.toml"))
    (vip,) = fleet.vips
    assert {endpoint.name for endpoint in vip.endpoints} == set(EU)
    assert {host.name for host in fleet.monitors} == {"sateu1", "sateu2"}
    assert fleet.watch.rank == rank
    assert fleet.icinga
    assert fleet.icinga.host == node
    for text in texts.values():
        assert SCHEMA.is_valid(tomllib.loads(text))


def test_the_satellites_differ_in_what_is_their_own_alone() -> None:
    page = files()
    assert page["sateu1", "/etc/anycast/zone.toml"] == page["sateu2", "/etc/anycast/zone.toml"]
    first, second = (page[node, "/etc/anycast/fleet.toml"] for node in ("sateu1", "sateu2"))
    mine = second.replace("https://sateu2", "https://sateu1").replace("rank = 1", "rank = 0")
    assert mine == first
