"""The main job with VIPs that are no alias: on an interface of their own, on lo, of both families.

OSPF announces the VIP of IPv4, and nothing that of IPv6, which is counted by presence. With --all
BGP announces both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab import Lab, frr, monitoring, routing
from lab.topology import ENDPOINTS, QUERY, RIGHT_ANSWER, VIP, VIP6, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import LOG, Scene
from tests.lab.ward import NONLOCAL_BIND
from tests.lab.watched import Watch

OWN = "anycast0"
PREFIX, PREFIX6 = f"{VIP}/32", f"{VIP6}/128"
NAME6, QUERY6 = "resolver6", "six.example.org"
PLACES = tuple(replace(place, on=OWN) for place in ENDPOINTS)
ALL = ("ns1", "ns2", "ns3")
BGP = "frr-bgp"


def fleet(interface: str = OWN, speaks: str = routing.DEFAULT) -> str:
    """Write the fleet file for both VIPs; the second one asks for another name."""
    text = monitoring.fleet([replace(place, on=interface) for place in PLACES], hold_down=0)
    head, of_vip = text.split(f"[vip.{VIP_NAME}]")
    second = of_vip.replace(VIP, VIP6).replace(f'"{interface}"', f'"{OWN}"')
    second = second.replace(QUERY, QUERY6).replace(VIP_NAME, NAME6)
    if speaks != BGP:
        second = second.replace("hold_down", 'routing = "none"\ncount_by = "peers"\nhold_down', 1)
    return f"{head}[vip.{VIP_NAME}]{of_vip}\n[vip.{NAME6}]{second}"


class Both(Scene):
    """A lab whose endpoints carry two VIPs."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ns1 = lab.endpoint("ns1")
        self.fleet = fleet(speaks=lab.routing.name)

    def prepare(self) -> None:
        """Add the second VIP, and let the accounts act on it."""
        self.set_fleet(self.fleet)
        for endpoint in self.lab.endpoints:
            endpoint.host.run(["ip", "address", "add", PREFIX6, "dev", OWN, "nodad"], check=True)
        self.lab.install_gate()
        self.repair6(*ALL)

    def control(self, *words: str, names: Sequence[str] = ("ns1",)) -> None:
        for name in names:
            argv = ["unbound-control", "-c", "/etc/unbound/unbound.conf", *words]
            self.lab.host(name).run(argv, check=True)

    def repair6(self, *names: str) -> None:
        self.control("local_zone", f"{QUERY6}.", "static", names=names or ("ns1",))
        data = f"{QUERY6}. 5 IN A {RIGHT_ANSWER}"
        self.control("local_data", data, names=names or ("ns1",))

    def addresses(self) -> str:
        """Show which VIPs are where on ns1."""
        shown = self.ns1.host.run(["ip", "-o", "address", "show"], check=True).stdout
        found = [
            line.split()[1:4:2] for line in shown.splitlines() if "10.99" in line or VIP6 in line
        ]
        return " ".join(sorted(f"{prefix}@{interface}" for interface, prefix in found))

    def act(self, vip: str, state: str, code: int = 0) -> str:
        ended = self.handler("event", vip, "ns1", "--state", state, "--state-type", "HARD")
        assert ended.returncode == code, ended.stdout
        return ended.stdout

    @property
    def announces_both(self) -> bool:
        return self.lab.routing.name == BGP

    def wait_until_routed(self, *names: str) -> None:
        wait_until(lambda: self.lab.routed() == names, f"{names} are routed")

    def wait_until_routed6(self, *names: str) -> None:
        """Wait until the router sends packets for the VIP of IPv6 to these, if it is announced."""
        if self.announces_both:
            router = self.lab.router
            wait_until(
                lambda: frr.interfaces_to(router, PREFIX6) == names, f"{names} are routed by IPv6"
            )


@pytest.fixture(scope="module", params=[routing.DEFAULT, BGP])
def both(venv: Path, request: pytest.FixtureRequest) -> Iterator[Both]:
    if request.param == BGP and not request.config.getoption("--all"):
        pytest.skip("both VIPs announced, which --all has")
    with Lab(venv=venv, hold_down=0, places=PLACES, speaks=request.param) as lab:
        both = Both(lab)
        both.prepare()
        yield both


@pytest.fixture(autouse=True)
def _is_well(both: Both) -> Iterator[None]:
    both.lab.mon.run(["rm", "-f", LOG])
    yield
    assert both.addresses() == f"{PREFIX}@{OWN} {PREFIX6}@{OWN}"
    both.wait_until_routed(*ALL)
    both.wait_until_routed6(*ALL)


def test_ipv4_alone_leaves_its_interface_and_the_routing(both: Both) -> None:
    both.control("local_zone_remove", f"{QUERY}.")
    said = both.act(VIP_NAME, "CRITICAL")
    assert f"{VIP} withdrawn by ip address del {PREFIX} dev {OWN}" in said
    assert both.addresses() == f"{PREFIX6}@{OWN}"
    verified = both.log()[-1]["verified"]
    assert verified["own_announcement"] is True, verified
    assert both.announces_both or set(verified.values()) == {True}, verified
    both.wait_until_routed("ns2", "ns3")
    both.wait_until_routed6(*ALL)
    both.ns1.resolver.answer(RIGHT_ANSWER)
    said = both.act(VIP_NAME, "OK")
    assert f"{VIP} restored by ip address add {PREFIX} dev {OWN}" in said
    assert both.log()[-1]["verified"]["own_announcement"] is True


def test_ipv6_alone_leaves_its_interface(both: Both) -> None:
    both.control("local_zone_remove", f"{QUERY6}.")
    said = both.act(NAME6, "CRITICAL")
    assert f"{VIP6} withdrawn by ip address del {PREFIX6} dev {OWN}" in said
    assert both.addresses() == f"{PREFIX}@{OWN}"
    both.wait_until_routed6("ns2", "ns3")
    assert both.lab.routed() == ALL
    ended = both.handler("status", NAME6)
    assert "withdrawn by nagios@mon: " in ended.stdout
    both.repair6()
    said = both.act(NAME6, "OK")
    assert f"{VIP6} restored by ip address add {PREFIX6} dev {OWN} preferred_lft 0 nodad" in said


def test_the_watcher_withdraws_and_restores_both_together(both: Both) -> None:
    watch = Watch(both.lab.mon)
    try:
        for name in ALL:
            watch.says(f"{VIP_NAME} {name} OK HARD", 40)
            watch.says(f"{NAME6} {name} OK HARD", 40)
        both.ns1.resolver.kill()
        wait_until(lambda: both.addresses() == "", f"both are gone: {watch.lines}")
        for vip, prefix in ((VIP, PREFIX), (VIP6, PREFIX6)):
            watch.says(f"ns1: {vip} withdrawn by ip address del {prefix} dev {OWN}: connection")
        both.wait_until_routed("ns2", "ns3")
        both.wait_until_routed6("ns2", "ns3")
        both.ns1.resolver.repair()
        both.repair6()
        for vip in (VIP, VIP6):
            watch.says(f"ns1: {vip} restored by ip address add")
    finally:
        watch.end()


def test_a_vip_that_is_somewhere_else_is_said_and_counted(both: Both) -> None:
    """The fleet file says lo, and every endpoint announces it from an interface of its own."""
    both.set_fleet(fleet("lo", both.lab.routing.name))
    code, said = both.enforce("CRITICAL")
    assert code == 2, said
    assert f"refused: it is on {OWN}, and not on its own interface" in said
    assert f"on {OWN}, from where nothing withdraws it" in both.handler("status").stdout
    try:
        with_lo = [("address", "add", PREFIX, "dev", "lo"), ("address", "del", PREFIX, "dev", OWN)]
        for argv in with_lo:
            both.ns1.host.run(["ip", *argv], check=True)
        both.lab.install_gate()
        both.ns1.resolver.kill()
        said = both.act(VIP_NAME, "CRITICAL")
        assert f"{VIP} withdrawn by ip address del {PREFIX} dev lo" in said
        assert both.addresses() == f"{PREFIX6}@{OWN}"
        both.wait_until_routed("ns2", "ns3")
        both.ns1.resolver.repair()
        both.repair6()
        said = both.act(VIP_NAME, "OK")
        assert f"{VIP} restored by ip address add {PREFIX} dev lo" in said
        both.wait_until_routed(*ALL)
    finally:
        both.ns1.host.run(["ip", "address", "add", PREFIX, "dev", OWN])
        both.ns1.host.run(["ip", "address", "del", PREFIX, "dev", "lo"])
        both.set_fleet(both.fleet)
        both.lab.install_gate()


def test_doctor_finds_nothing(both: Both) -> None:
    if both.announces_both:
        pytest.skip("tried with OSPF")
    for endpoint in both.lab.endpoints:
        endpoint.host.run(["sysctl", "-qw", NONLOCAL_BIND.replace("ipv4", "ipv6") + "=1"])
    ended = both.handler("doctor", timeout=60)
    assert ended.returncode == 0, ended.stdout
    assert f"{NONLOCAL_BIND} is 0" in ended.stdout
    assert "net.ipv6" not in ended.stdout
