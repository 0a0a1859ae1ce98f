"""Icinga and Nagios with a VIP of IPv6, on endpoints that are managed by IPv6 as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, icinga, monitoring, nagios, nrpe, sshd
from lab.icinga import CONTROL, HEALTH, Icinga
from lab.monitoring import PLUGINS
from lab.nagios import Nagios
from lab.topology import ENDPOINTS6, VIP6, VIP_NAME
from lab.waiting import wait_until
from tests.lab.monitored import PACE
from tests.lab.scene import Scene

ROUTE = f"anycast-route-{VIP_NAME}"
NOT_ANNOUNCED = f"{VIP6} on lo, but not announced"
ALL = tuple(place.name for place in ENDPOINTS6)
BY_DEFAULT, *FURTHER = ("frr-ospf6", "bird-ospf6", "frr-bgp", "bird-bgp")
ASK_ROUTE = {
    "by_ssh_kept_open": f"anycast_by_ssh!{PLUGINS}/check_anycast route -H {VIP6}",
    "nrpe": f"anycast_nrpe_route!{VIP_NAME}",
}
ROUTE_SERVICE = """
define service {
    use                    anycast-route
    host_name              ns3
    service_description    %s
    check_command          %s
    check_interval         1
    retry_interval         1
    contacts               nagiosadmin
}
"""


def by_ipv6(text: str) -> str:
    """Put the management addresses of IPv6 in the place of the others."""
    for place in ENDPOINTS6:
        text = text.replace(place.address, place.address6)
    return text


@pytest.fixture(scope="module", params=[BY_DEFAULT, *FURTHER])
def lab(venv: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    if request.param != BY_DEFAULT and not request.config.getoption("--all"):
        pytest.skip("another daemon, which --all runs")
    with Lab(venv=venv, speaks=request.param, places=ENDPOINTS6) as lab:
        pinned = lab.mon.read(monitoring.KNOWN_HOSTS)
        lab.mon.write(monitoring.KNOWN_HOSTS, pinned + by_ipv6(pinned))
        file = "/etc/ssh/sshd_config"
        for endpoint in lab.endpoints:
            listens = f"ListenAddress {endpoint.place.address6}\n"
            endpoint.host.write(file, listens + endpoint.host.read(file))
            sshd.restart(endpoint.host)
        yield lab


@pytest.fixture
def scene(lab: Lab) -> Scene:
    scene = Scene(lab)
    scene.set_fleet(by_ipv6(scene.fleet))
    scene.wait_until_all_are_counted()
    return scene


@pytest.fixture(scope="module")
def engine(lab: Lab) -> Icinga:
    """Icinga, which knows each endpoint by its address6 alone."""
    hosts = icinga.endpoints(PACE, VIP6)
    for place in ENDPOINTS6:
        hosts = hosts.replace(f'address = "{place.address}"', f'address6 = "{place.address6}"')
    engine = Icinga(lab.mon, hosts)
    engine.start()
    for place in ENDPOINTS6:
        engine.check_now(place.name, HEALTH)
    return engine


def acts(scene: Scene) -> list[tuple[str, str, str]]:
    found = [(entry["verb"], entry["endpoint"], entry["action"]) for entry in scene.log()]
    return [act for act in found if act[2] in ("withdraw", "restore")]


def said_by_route(engine: Icinga, text: str) -> bool:
    # Each scene takes the sockets of open connections away, and a probe may stumble over that.
    engine.check_now("ns3", ROUTE)
    return text in engine.service("ns3", ROUTE).output


def wait_until_routed(scene: Scene, *names: str) -> None:
    wait_until(lambda: scene.lab.routed() == names, f"{names} are routed")


def test_the_gate_is_installed_at_an_address_of_ipv6(scene: Scene) -> None:
    target = f"root@{scene.ns1.place.address6}"
    ended = scene.lab.mon.run(["anycast-handler", "gate", "--install", target])
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_icinga_withdraws_a_dead_resolver_and_restores_it(scene: Scene, engine: Icinga) -> None:
    # The event handler has to act alone.
    engine.switch_service("ns1", CONTROL, enable_active_checks=False)
    for name in ALL:
        engine.wait_for(name, HEALTH, "OK")
    scene.ns1.resolver.kill()
    wait_until_routed(scene, "ns2", "ns3")
    seen = engine.wait_for("ns1", HEALTH, "WARNING")
    assert f"{VIP6} withdrawn, instance still failing" in seen.output
    scene.ns1.resolver.repair()
    wait_until_routed(scene, *ALL)
    wait_until(lambda: len(acts(scene)) >= 2, "both acts are in the log")
    assert acts(scene) == [("event", "ns1", "withdraw"), ("event", "ns1", "restore")]


def test_the_route_service_finds_what_is_present_and_not_announced(
    scene: Scene, engine: Icinga
) -> None:
    """The health service of such an endpoint is OK, and its control service is WARNING."""
    lab, ns3 = scene.lab, scene.lab.endpoint("ns3")
    lab.routing.hide(ns3.host, ns3.place, hidden=True)
    try:
        wait_until_routed(scene, "ns1", "ns2")
        wait_until(lambda: said_by_route(engine, NOT_ANNOUNCED), "the route service says so")
        assert engine.service("ns3", ROUTE).state == "CRITICAL"
        assert engine.service("ns3", HEALTH).state == "OK"
        control = engine.wait_for("ns3", CONTROL, "WARNING")
        assert "its routing daemon does not announce it" in control.output
    finally:
        lab.routing.hide(ns3.host, ns3.place, hidden=False)
    wait_until_routed(scene, *ALL)
    engine.check_now("ns3", ROUTE)
    engine.wait_for("ns3", ROUTE, "OK")


@pytest.mark.parametrize("transport", ASK_ROUTE)
def test_nagios_does_the_same(
    scene: Scene, engine: Icinga, transport: str, request: pytest.FixtureRequest
) -> None:
    if scene.lab.routing.name != BY_DEFAULT or not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    engine.stop()
    lab, ns3 = scene.lab, scene.lab.endpoint("ns3")
    if transport == "nrpe":
        for endpoint in lab.endpoints:
            nrpe.nrpe(lab.mon, endpoint.host, endpoint.place, by_ipv6=True).start()
    services = nagios.endpoints(transport, VIP6) + ROUTE_SERVICE % (ROUTE, ASK_ROUTE[transport])
    daemon = Nagios(lab.mon, by_ipv6(services))
    daemon.start()
    try:
        for name in ALL:
            daemon.wait_for(name, HEALTH, "OK")
        scene.ns1.resolver.kill()
        wait_until_routed(scene, "ns2", "ns3")
        daemon.wait_for("ns1", HEALTH, "WARNING")
        scene.ns1.resolver.repair()
        wait_until_routed(scene, *ALL)
        wait_until(lambda: len(acts(scene)) >= 2, "both acts are in the log")
        assert [act[1:] for act in acts(scene)] == [("ns1", "withdraw"), ("ns1", "restore")]
        lab.routing.hide(ns3.host, ns3.place, hidden=True)
        said = daemon.wait_for("ns3", ROUTE, "CRITICAL")
        assert NOT_ANNOUNCED in said
        assert daemon.state("ns3", HEALTH)[0] == "OK"
    finally:
        lab.routing.hide(ns3.host, ns3.place, hidden=False)
        daemon.kill()
