"""The real Icinga 2 daemon on icinga2-templates/ in a cluster: which node is to do what."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.waiting import wait_until
from tests.lab.icinga_alone import (
    SECONDS,
    VIP,
    Icinga,
    Recorded,
    home,
    host,
    needs_icinga,
)
from tests.support.peer import free_port

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


# Zones as a master sees them that is alone.
OF_M1 = ZONES.replace('object Endpoint "m2" { }\n', "").replace('"m1", "m2"', '"m1"')


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
    """The switch stays on everywhere: pressed on a master it then reaches the zone."""
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
        (
            "ns1",
            ', transport = "agent"',
            "is the agent's own, so the endpoint would act on itself",
        ),
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
  host_name = "{name}", zone = "{zone}", enable_active_checks = false, max_check_attempts = 1
  check_command = "dummy", event_command = "anycast_event", enable_event_handler = true
  vars.anycast_vip = "resolver"
}}
"""


def test_an_event_of_another_zone_changes_nothing(master: Recorded) -> None:
    """A person gives each node the event handler, but only the zone acts."""
    zones = OF_M1
    for name, zone in (("eu1", "eu"), ("ns1", "master")):
        zones += BY_HAND.format(name=name, zone=zone)
    master.configure('include "%s/templates/*.conf"\n' + zones)
    with master.running():
        wait_until((master.home / "run" / "cmd").exists, "the daemon runs", SECONDS)
        for name in ("eu1", "ns1"):
            master.command(f"PROCESS_SERVICE_CHECK_RESULT;{name};anycast-health-resolver;2;dead")
        wait_until(lambda: master.calls("anycast-handler"), "the event of ns1", SECONDS)
    calls = sorted(call[:3] for call in master.calls("anycast-handler"))
    assert calls == [["--version", "resolver", "eu1"], ["event", "resolver", "ns1"]]
    assert not master.warned("PluginEventTask"), (master.home / "out").read_text()


OVER_ALL = """
object Host "zones" { check_command = "dummy", zone = "master", vars.anycast_zones = true }
"""


def test_a_host_of_the_masters_has_a_service_for_each_zone_below(icinga: Icinga) -> None:
    """A zone that is added later has its service at once; zones of agents have no hosts."""
    icinga.node = "m1"
    hosts = ZONES + AGENT + OVER_ALL
    for name, zone in (("ns1", "eu"), ("ns2", "eu"), ("ns3", "us"), ("ns4", "master")):
        hosts += host(f"{{ {VIP} }}", f'{OUTSIDE}\n zone = "{zone}"').replace("ns1", name)
    result = icinga.validate(hosts)
    assert result.returncode == 0, result.stdout
    services = icinga.services()
    found = {name for name, service in services.items() if "anycast_zone" in service}
    assert found == {"zones!anycast-zone-eu", "zones!anycast-zone-us"}


@pytest.mark.parametrize(
    ("node", "more", "warned"),
    [("m1", "", {"eu", "us"}), ("m1", OVER_ALL, set()), ("sateu1", "", set())],
)
def test_a_zone_of_which_nobody_hears_is_named(
    icinga: Icinga, node: str, more: str, warned: set[str]
) -> None:
    """On the masters: the satellites do not see their hosts."""
    icinga.node = node
    hosts = ZONES + more
    for name, zone in (("ns1", "eu"), ("ns2", "eu"), ("ns3", "us"), ("ns4", "master")):
        hosts += host(f"{{ {VIP} }}", f'{OUTSIDE}\n zone = "{zone}"').replace("ns1", name)
    said = [line for line in icinga.validate(hosts).stdout.splitlines() if "warning/any" in line]
    assert {line.split("'")[1] for line in said} == warned
    assert all("Set vars.anycast_zones = true on a Host in zones.d/master" in x for x in said)


def test_zones_are_watched_from_above(icinga: Icinga) -> None:
    """Outside of zones.d Icinga would run the service on any node, and nobody is below it."""
    icinga.node = "m1"
    result = icinga.validate(ZONES + OVER_ALL.replace(', zone = "master"', ""))
    assert result.returncode != 0
    assert "Host 'zones', vars.anycast_zones: move the host to zones.d/ZONE" in result.stdout


class Zone:
    """A master whose zone eu has a service of 1 s and more of 60 s, of which it only hears."""

    SILENCE = 6

    def __init__(self, master: Recorded) -> None:
        health = host(f"{{ {VIP}, interval = 1 }}", IN_EU)
        slow = host(f"{{ {VIP}, interval = 60 }}", IN_EU)
        slow = "".join(slow.replace("ns1", name) for name in ("ns2", "ns3", "ns4"))
        silence = f'vars.anycast_silence = "{self.SILENCE}"'
        above = OVER_ALL.replace('"zones" {', f'"zones" {{ {silence}\n')
        # Only with its API does a node know which zone is its own.
        master.certify()
        api = f'object ApiListener "api" {{ bind_host = "127.0.0.1", bind_port = {free_port()} }}'
        objects = f'include "%s/templates/*.conf"\n{health}{slow}{above}'
        master.configure(f"{api}\n{OF_M1}{objects}")
        self.master = master

    def result(self, name: str = "ns1", late: float = 0) -> None:
        """Let a satellite have checked so many seconds ago, as its clock says."""
        line = f"PROCESS_SERVICE_CHECK_RESULT;{name};anycast-health-resolver;0;fine"
        with (self.master.home / "run" / "cmd").open("w") as pipe:
            pipe.write(f"[{time.time() - late:.0f}] {line}\n")

    def look(self) -> tuple[str, str]:
        """Check the zone, and give the state and the text."""
        before = len(self.master.calls("check_dummy"))
        self.master.command(f"SCHEDULE_FORCED_SVC_CHECK;zones;anycast-zone-eu;{int(time.time())}")
        calls = wait_until(lambda: self.master.calls("check_dummy")[before:], "a look", SECONDS)
        return calls[-1][0], calls[-1][1]

    def until(self, state: str, text: str, late: float | None = None) -> None:
        """Look until it says so, with results that come all the time where ``late`` is given."""
        seen: list[tuple[str, str]] = []

        def said() -> bool:
            if late is not None:
                self.result(late=late)
            seen.append(self.look())
            return seen[-1][0] == state and text in seen[-1][1]

        try:
            wait_until(said, text, SECONDS)
        except LabError as error:
            raise AssertionError(seen) from error


@pytest.fixture
def zone(master: Recorded) -> Iterator[Zone]:
    made = Zone(master)
    with master.running():
        wait_until((master.home / "run" / "cmd").exists, "the daemon runs", SECONDS)
        yield made


APART = "zone eu goes on, but without a connection to sateu1, sateu2; connected: 0 of 2"


def test_a_zone_that_falls_silent_is_critical(zone: Zone) -> None:
    """The age of the newest result tells it, long before Icinga gives a connection up.

    Of one service that is asked each minute nobody hears more often, and it hides no silence.
    """
    zone.until("2", "zone eu has never sent a result; ")
    zone.result("ns1")
    zone.result("ns2")
    zone.until("1", APART)
    zone.until("2", "zone eu is silent: no result for ")


@pytest.mark.parametrize(
    ("late", "text"),
    [(-3600, "the clock of m1 is 3600 s ahead; "), (20, " s behind, or results come late; ")],
)
def test_a_wrong_clock_of_a_satellite_is_named_and_hides_no_silence(
    zone: Zone, late: float, text: str
) -> None:
    zone.until("2", "zone eu has never sent a result; ")
    zone.until("1", text, late)
    deadline = time.monotonic() + 2 * Zone.SILENCE
    while time.monotonic() < deadline:
        zone.result(late=late)
        assert zone.look()[0] == "1"
    zone.until("2", "zone eu is silent: no result for ")
    # A clock that is right again is believed at once, where Icinga takes its results.
    if late > 0:
        zone.until("1", APART, 0)
