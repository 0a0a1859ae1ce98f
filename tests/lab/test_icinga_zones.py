"""The real Icinga 2 daemon on icinga2-templates/ in a cluster: which node is to do what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.waiting import wait_until
from tests.lab.icinga_alone import (
    SECONDS,
    VIP,
    Icinga,
    Recorded,
    basket,
    home,
    host,
    needs_icinga,
)

pytestmark = needs_icinga

ZONES = """
object Endpoint "m1" { }
object Endpoint "m2" { }
object Endpoint "sateu1" { }
object Endpoint "sateu2" { }
object Endpoint "satus1" { }
object Zone "master" { endpoints = [ "m1", "m2" ] }
object Zone "eu" { endpoints = [ "sateu1", "sateu2" ], parent = "master" }
object Zone "us" { endpoints = [ "satus1" ], parent = "master" }
object Zone "global-templates" { global = true }
"""
OUTSIDE = 'address = "192.0.2.11"'
IN_EU = f'{OUTSIDE}\n zone = "eu"'


@pytest.mark.parametrize(
    ("node", "command"),
    [
        ("m1", '""'),
        ("m2", '""'),
        ("satus1", '""'),
        ("sateu1", '"anycast_event"'),
        ("sateu2", '"anycast_event"'),
    ],
)
def test_only_the_zone_of_a_host_has_its_event_handler(
    icinga: Icinga, node: str, command: str
) -> None:
    """The switch for event handlers stays on everywhere: pressed on a master it reaches the zone."""
    icinga.node = node
    result = icinga.validate(ZONES + host(f"{{ {VIP} }}", IN_EU))
    assert result.returncode == 0, result.stdout
    health = icinga.services()["ns1!anycast-health-resolver"]
    assert health["event_command"] == command
    assert (health["enable_event_handler"], health["zone"]) == ("true", '"eu"')


AGENT = """
object Endpoint "ns1" { }
object Zone "ns1" { endpoints = [ "ns1" ], parent = "eu" }
object Zone "empty" { parent = "master" }
"""


@pytest.mark.parametrize(
    ("zone", "more", "complaint"),
    [
        ("empty", "", "has no endpoints, so no node checks the host"),
        ("ns1", ', transport = "agent"', "is the agent's own, and the endpoint would act on itself"),
    ],
)
def test_a_host_that_nobody_could_act_on_is_refused(
    icinga: Icinga, zone: str, more: str, complaint: str
) -> None:
    icinga.node = "m1"
    result = icinga.validate(
        ZONES + AGENT + host(f"{{ {VIP}{more} }}", f'{OUTSIDE}\n zone = "{zone}"')
    )
    assert result.returncode != 0
    assert f"vars.anycast[\"resolver\"]: zone '{zone}' {complaint}. Move" in result.stdout


@pytest.mark.parametrize(
    ("node", "warns"), [("m1", "zone 'master' has 2 nodes"), ("satus1", ""), ("mon", "")]
)
def test_a_host_outside_of_the_zones_is_named_where_two_nodes_share_them(
    icinga: Icinga, node: str, warns: str
) -> None:
    """Icinga gives each service to one node of a zone, whether that one has it or not."""
    icinga.node = node
    result = icinga.validate(ZONES + host(f"{{ {VIP} }}", OUTSIDE))
    assert result.returncode == 0, result.stdout
    said = [line for line in result.stdout.splitlines() if "warning/anycast" in line]
    assert len(said) == bool(warns)
    assert all(warns in line for line in said)
    assert icinga.services()["ns1!anycast-health-resolver"]["event_command"] == '"anycast_event"'


@pytest.fixture
def master() -> Iterator[Recorded]:
    """A master that records what it runs, and leaves nothing behind."""
    with home() as directory:
        recorded = Recorded(directory)
        recorded.node = "m1"
        yield recorded
        recorded.end()


BY_HAND = """
object Host "{name}" {{ check_command = "dummy", address = "192.0.2.11", zone = "{zone}" }}
object Service "anycast-health-resolver" {{
  {template}
  host_name = "{name}", zone = "{zone}", enable_active_checks = false, max_check_attempts = 1
  check_command = "dummy", event_command = "anycast_event", enable_event_handler = true
  vars.anycast_vip = "resolver"
}}
"""


@pytest.mark.parametrize("made", ["by a person", "by the Director"])
def test_an_event_of_another_zone_changes_nothing(master: Recorded, made: str) -> None:
    """A person, or the Director, gives each node the event handler, but only the zone acts."""
    if made == "by a person":
        objects, template = 'include "%s/templates/*.conf"\n', ""
    else:
        objects, template = basket(), 'import "anycast-health"'
    zones = ZONES.replace('object Endpoint "m2" { }\n', "").replace('"m1", "m2"', '"m1"')
    for name, zone in (("eu1", "eu"), ("ns1", "master")):
        zones += BY_HAND.format(name=name, zone=zone, template=template)
    master.configure(objects + zones)
    with master.running():
        wait_until((master.home / "run" / "cmd").exists, "the daemon runs", SECONDS)
        for name in ("eu1", "ns1"):
            master.command(f"PROCESS_SERVICE_CHECK_RESULT;{name};anycast-health-resolver;2;dead")
        wait_until(lambda: master.calls("anycast-handler"), "the event of ns1", SECONDS)
    calls = sorted(call[:3] for call in master.calls("anycast-handler"))
    assert calls == [["--version", "resolver", "eu1"], ["event", "resolver", "ns1"]]
    assert not master.warned("PluginEventTask"), (master.home / "out").read_text()
