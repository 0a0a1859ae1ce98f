"""network-scripts of RHEL 7 and 8, unmodified, on a host of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anycast_handlers.endpoint.site import Site
from anycast_handlers.fleet.values import Endpoint, Vip

from lab import network_scripts
from lab.alone import host_alone
from lab.host import Host
from tests.support.act import restore, withdraw
from tests.support.alone import addresses_of, install_helper, site_on

ALIASES = {"lo:0": "10.99.0.53", "lo:1": "10.99.0.80"}
RESOLVER, WEB = (
    Vip(f"vip{alias[-1]}", address, alias, ("/bin/check",), (Endpoint("ns1", "192.0.2.11"),))
    for alias, address in ALIASES.items()
)
OWN = {("127.0.0.1/8", "lo"), ("::1/128", "")}
BOTH = OWN | {(f"{address}/32", alias) for alias, address in ALIASES.items()}
WITHOUT_FILE = ("10.99.0.90/32", "lo:7")


@pytest.fixture(params=[7, 8])
def host(lab_is_possible: None, request: pytest.FixtureRequest) -> Iterator[Host]:
    if request.param == 7 and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    if not network_scripts.sources(request.param):
        pytest.skip(f"there are no network-scripts of RHEL {request.param}")
    with host_alone(f"rhel{request.param}") as host:
        network_scripts.install(host, request.param, ALIASES)
        install_helper(host, RESOLVER, WEB)
        assert addresses_of(host, "lo") == BOTH
        yield host


@pytest.fixture
def site(host: Host) -> Site:
    return site_on(host, RESOLVER, WEB)


def test_the_alias_alone_leaves_and_comes_back(host: Host, site: Site) -> None:
    _, by = withdraw(site)
    assert by == "ifdown lo:0"
    assert addresses_of(host, "lo") == BOTH - {("10.99.0.53/32", "lo:0")}
    _, by = restore(site)
    assert by == "ifup lo:0"
    assert addresses_of(host, "lo") == BOTH


def test_what_a_person_took_down_stays_down(host: Host, site: Site) -> None:
    """`ifup lo` would bring every alias back, whoever has taken it down."""
    host.run(["ifup", "lo:1"], check=True)
    withdraw(site)
    # The person does it while the VIP is withdrawn, and no note says so.
    host.run(["ifdown", "lo:1"], check=True)
    site = site_on(host, RESOLVER)
    restore(site)
    assert addresses_of(host, "lo") == BOTH - {("10.99.0.80/32", "lo:1")}


def test_an_address_with_a_label_and_no_file_stays(host: Host, site: Site) -> None:
    """`ifup lo` would take it away."""
    host.run(["ip", "address", "add", WITHOUT_FILE[0], "dev", "lo", "label", WITHOUT_FILE[1]])
    withdraw(site)
    restore(site)
    assert addresses_of(host, "lo") == BOTH | {WITHOUT_FILE}


def test_an_alias_without_a_file_is_restored_by_ip(host: Host, site: Site) -> None:
    host.run(["rm", f"{network_scripts.DIRECTORY}/ifcfg-lo:0"], check=True)
    withdraw(site)
    _, by = restore(site)
    assert by == "ip address add 10.99.0.53/32 dev lo label lo:0"
    assert addresses_of(host, "lo") == BOTH


@pytest.mark.parametrize("what", [["ifup", "lo"], ["ifup", "lo:0"]])
def test_what_brings_it_back_is_seen(host: Host, site: Site, what: list[str]) -> None:
    withdraw(site)
    assert not site.look().present
    host.run(what, check=True)
    assert site.look().present
    _, by = withdraw(site)
    assert by == "ifdown lo:0"
    assert not site.look().present
