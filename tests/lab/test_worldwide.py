"""The files of docs/worldwide.rst, as the real Icinga 2 daemon of each host reads them."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from anycast_handlers.verbs._options import read_fleet

from tests.lab.icinga_alone import Icinga, needs_icinga

pytestmark = needs_icinga
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


def services(icinga: Icinga, node: str, zones: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Load what a node has, with the directories of zones.d that Icinga gives it."""
    icinga.node = node
    page = files()
    zones_d = icinga.home / "etc" / "zones.d"
    for zone in zones:
        (zones_d / zone).mkdir(parents=True)
        for (_, path), text in page.items():
            if path.startswith(f"/etc/icinga2/zones.d/{zone}/"):
                (zones_d / zone / Path(path).name).write_text(text)
    for template in (icinga.home / "templates").glob("*.conf"):
        template.rename(zones_d / "global-templates" / template.name)
    result = icinga.validate(page[node, "/etc/icinga2/zones.conf"])
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


def test_both_satellites_have_the_fleet_of_their_zone(tmp_path: Path) -> None:
    page = files()
    text = page["sateu1", "/etc/anycast/fleet.toml"]
    assert page["sateu2", "/etc/anycast/fleet.toml"] == text
    (tmp_path / "fleet.toml").write_text(text)
    (vip,) = read_fleet(str(tmp_path / "fleet.toml")).vips
    assert {endpoint.name for endpoint in vip.endpoints} == set(EU)
