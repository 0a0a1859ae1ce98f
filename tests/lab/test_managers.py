"""Each manager of interfaces, for real: withdrawn, brought back by the manager or not, restored.

Each runs on a host of its own, which has two VIPs of each family on lo, and two on an interface of
their own; the handler acts on the first one of each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import ClassVar

import pytest
from anycast_handlers.activators._choice import AUTO
from anycast_handlers.activators._evidence import evidence_argv, read_evidence
from anycast_handlers.endpoint.site import Site
from anycast_handlers.fleet.values import Endpoint, Vip

from lab import ifupdown2, netplan, networkd, networkmanager
from lab.alone import host_alone, unpacked
from lab.host import Host
from lab.waiting import wait_until
from tests.support.act import restore, withdraw
from tests.support.alone import addresses_of, install_helper, site_on

OWN = "anycast0"
VIPS: dict[str, tuple[str, ...]] = {
    "lo": ("10.99.0.53", "2001:db8:99::53"),
    OWN: ("10.99.1.53", "2001:db8:99:1::53"),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "lo": ("10.99.0.54", "2001:db8:99::54"),
    OWN: ("10.99.1.54", "2001:db8:99:1::54"),
}
CASES = [(interface, address) for interface, of in VIPS.items() for address in of]
# The plain run tries these; the rest is behind --all.
SAMPLE = [CASES[0], CASES[3]]


def prefix(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def vip_on(interface: str, address: str, activator: str = AUTO) -> Vip:
    endpoints = (Endpoint("ns1", "192.0.2.11"),)
    return Vip(address, address, interface, ("/bin/check",), endpoints, activator=activator)


class Managed(ABC):
    """A host whose interfaces one manager configures; ``name`` is the activator's name."""

    name: ClassVar[str]
    title: ClassVar[str] = ""
    # Each command brings an address back that is configured; {} is the interface.
    brings_back: ClassVar[Sequence[Sequence[str]]]

    def __init__(self, host: Host) -> None:
        self.host = host

    @abstractmethod
    def begin(self) -> None:
        """Have everything configured."""

    @abstractmethod
    def restart(self) -> None:
        """Start the manager again."""

    @abstractmethod
    @contextmanager
    def unmaskable(self, interface: str, address: str) -> Iterator[str]:
        """Have something that no mask can be put on; gives what the handler says of it."""

    def wait_for(self, *addresses: str) -> None:
        def there() -> bool:
            said = self.host.run(["ip", "-o", "address", "show"], check=True).stdout
            lines = [line for line in said.splitlines() if " tentative " not in line]
            return all(any(f" {prefix(one)} " in line for line in lines) for one in addresses)

        wait_until(there, f"{self.name} has configured {', '.join(addresses)}")

    def start_again(self) -> None:
        """Restart it, and wait until it has configured everything."""
        self.restart()
        self.settle()

    def bring_back(self, interface: str) -> Iterator[str]:
        """Do each thing that brings a configured address back, and name it."""
        for command in self.brings_back:
            argv = [word.replace("{}", interface) for word in command]
            self.host.run(argv, check=True)
            self.settle()
            yield " ".join(argv)
        self.start_again()
        yield "a restart"

    def settle(self) -> None:
        """Wait until the manager has configured everything."""
        self.wait_for(*(one for of in OTHERS.values() for one in of))


class Networkd(Managed):
    name = "networkd"
    brings_back: ClassVar[Sequence[Sequence[str]]] = (
        ("networkctl", "reload"),
        ("networkctl", "reconfigure", "{}"),
    )

    def file(self, interface: str) -> str:
        """Name networkd's file of an interface."""
        return f"{networkd.DIRECTORY}/10-{interface}.network"

    def write(self, interface: str, *addresses: str) -> None:
        """Configure an interface with these addresses, and with what is in drop-ins."""
        networkd.write_network(self.host, interface, *map(prefix, addresses))

    def write_own(self, interface: str, *addresses: str) -> None:
        """Write a drop-in for each of these addresses."""
        network = self.file(interface).rpartition("/")[2]
        networkd.write_own(self.host, network, {one: prefix(one) for one in addresses})

    def begin(self) -> None:
        for interface, addresses in VIPS.items():
            self.write(interface, *OTHERS[interface])
            self.write_own(interface, *addresses)
        self.daemon = networkd.networkd(self.host)
        self.daemon.start()
        self.wait_for(*(one for of in (*VIPS.values(), *OTHERS.values()) for one in of))

    def restart(self) -> None:
        self.daemon.stop()
        # Another address that it has to bring back tells when it has configured all.
        for interface, addresses in OTHERS.items():
            for one in addresses:
                self.host.run(["ip", "address", "del", prefix(one), "dev", interface], check=True)
        self.daemon.start()

    def settle(self) -> None:
        super().settle()
        wait_until(lambda: networkd.is_configured(self.host, *VIPS), "networkd has settled")

    @contextmanager
    def unmaskable(self, interface: str, address: str) -> Iterator[str]:
        network = self.file(interface).rpartition("/")[2]
        own = f"{networkd.OWN}/{network}.d/anycast-{address}.conf"
        self.host.run(["rm", own], check=True)
        # networkd takes every spelling.
        self.write(interface, *OTHERS[interface], ip_address(address).exploded.upper())
        yield f"{self.file(interface)} has {address} too"
        self.write(interface, *OTHERS[interface])
        self.write_own(interface, address)
        self.host.run(["networkctl", "reload"], check=True)
        self.settle()


class Netplan(Networkd):
    """networkd, whose file of lo is netplan's."""

    title = "netplan"
    brings_back = (
        (netplan.GENERATE,),
        ("networkctl", "reload"),
        ("networkctl", "reconfigure", "{}"),
    )

    def file(self, interface: str) -> str:
        of_lo = "/run/systemd/network/10-netplan-lo.network"
        return of_lo if interface == "lo" else super().file(interface)

    def write(self, interface: str, *addresses: str) -> None:
        if interface == "lo":
            netplan.write_lo(self.host, tuple(map(prefix, addresses)))
        else:
            super().write(interface, *addresses)

    def begin(self) -> None:
        netplan.install(self.host)
        super().begin()


class NetworkManager(Managed):
    name = "networkmanager"
    brings_back = (
        ("nmcli", "connection", "reload"),
        ("nmcli", "device", "reapply", "{}"),
        ("nmcli", "connection", "up", "{}"),
    )

    def begin(self) -> None:
        for interface, own in (("lo", ("127.0.0.1/8", "::1/128")), (OWN, ())):
            addresses = (*OTHERS[interface], *VIPS[interface])
            prefixes = (*own, *map(prefix, addresses))
            networkmanager.write_profile(self.host, interface, prefixes)
        self.daemon = networkmanager.networkmanager(self.host)
        self.daemon.start()
        self.settle()
        self.wait_for(*(one for of in (*VIPS.values(), *OTHERS.values()) for one in of))

    def restart(self) -> None:
        self.daemon.stop()
        self.daemon.start()

    @contextmanager
    def unmaskable(self, interface: str, address: str) -> Iterator[str]:
        self.daemon.hang()
        try:
            yield "NetworkManager does not answer"
        finally:
            self.daemon.resume()

    def settle(self) -> None:
        super().settle()
        ask = ["nmcli", "-g", "GENERAL.STATE", "device", "show"]

        def active() -> bool:
            said = [self.host.run([*ask, one]).stdout.strip() for one in VIPS]
            return said == ["100 (connected)"] * 2

        wait_until(active, "NetworkManager has activated the profiles")


class Ifupdown2(Managed):
    name = "ifupdown2"
    brings_back = (("ifup", "{}"), ("ifreload", "-a"))

    def begin(self) -> None:
        ifupdown2.install(self.host)
        self._write(OTHERS)
        for interface, addresses in VIPS.items():
            ifupdown2.write_own(self.host, interface, {one: prefix(one) for one in addresses})
        self.host.run(["ifup", "-a"], check=True)
        self.wait_for(*(one for of in (*VIPS.values(), *OTHERS.values()) for one in of))

    def restart(self) -> None:
        self.host.run(["ifup", "-a"], check=True)

    @contextmanager
    def unmaskable(self, interface: str, address: str) -> Iterator[str]:
        self.host.run(["rm", f"{ifupdown2.INTERFACES}.d/anycast-{address}"], check=True)
        self._write({**OTHERS, interface: (*OTHERS[interface], address)})
        yield f"/etc/network/interfaces has {address} too"
        self._write(OTHERS)
        ifupdown2.write_own(self.host, interface, {address: prefix(address)})

    def _write(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        wanted = {interface: tuple(map(prefix, of)) for interface, of in addresses.items()}
        ifupdown2.write_interfaces(self.host, wanted)


MANAGERS = (Networkd, Netplan, NetworkManager, Ifupdown2)
THERE: dict[str, Callable[[], bool]] = {
    "networkd": lambda: True,
    "netplan": netplan.is_there,
    "networkmanager": networkmanager.is_there,
    "ifupdown2": lambda: bool(unpacked("ifupdown2")),
}


@pytest.fixture(scope="module", params=MANAGERS, ids=lambda one: one.title or one.name)
def managed(lab_is_possible: None, request: pytest.FixtureRequest) -> Iterator[Managed]:
    title = request.param.title or request.param.name
    if not THERE[title]():
        pytest.skip(f"there is no {title}")
    with host_alone(title) as host:
        install_helper(host, *(vip_on(*case) for case in CASES))
        managed = request.param(host)
        managed.begin()
        yield managed


@pytest.fixture
def site(managed: Managed, request: pytest.FixtureRequest) -> Site:
    case = request.param
    if case not in SAMPLE and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    managed.settle()
    # An address of IPv6 that was configured a moment ago is not there yet.
    managed.wait_for(case[1])
    return site_on(managed.host, vip_on(*case))


def around(site: Site, host: Host) -> dict[str, set[tuple[str, str]]]:
    """List the addresses of both interfaces without the VIP."""
    mine = prefix(site.vip.address)
    return {
        interface: {one for one in addresses_of(host, interface) if one[0] != mine}
        for interface in VIPS
    }


each_case = pytest.mark.parametrize("site", CASES, indirect=True, ids=" ".join)


@each_case
def test_it_is_found_and_nothing_brings_the_vip_back(managed: Managed, site: Site) -> None:
    choice, before = site.choice(), around(site, managed.host)
    assert choice.activator.name == managed.name, choice.why
    look, _ = withdraw(site)
    assert not look.present
    assert around(site, managed.host) == before
    assert [step.status for step in site.steps] == [0, 0], site.steps
    assert site.look().masked == managed.name
    for what in managed.bring_back(site.vip.placement.interface):
        assert not site.look().present, what
        assert around(site, managed.host) == before, what
    look, _ = restore(site)
    assert look.in_place
    assert around(site, managed.host) == before
    assert site.look().masked == ""
    assert all(step.status == 0 for step in site.steps), site.steps
    # What brings others back does not take this one away again.
    for what in managed.bring_back(site.vip.placement.interface):
        managed.wait_for(site.vip.address)
        assert site.look().in_place, what
        assert around(site, managed.host) == before, what


@each_case
def test_what_cannot_be_masked_is_said_and_comes_back(managed: Managed, site: Site) -> None:
    """The withdrawal works all the same; a restart undoes it, which the next look finds."""
    vip, before = site.vip, around(site, managed.host)
    with managed.unmaskable(vip.placement.interface, vip.address) as what:
        look, _ = withdraw(site)
        assert not look.present
        (mask,) = [step for step in site.steps if step.argv[0] == "mask"]
        assert mask.status == 1
        assert what in mask.said
        # NetworkManager has to go on before it can be started again.
        if managed.name != "networkmanager":
            managed.start_again()
    if managed.name == "networkmanager":
        managed.start_again()
    managed.wait_for(vip.address)
    assert site.look().in_place
    look, _ = withdraw(site)
    assert not look.present
    look, _ = restore(site)
    assert look.in_place
    assert site.look().masked == ""
    assert around(site, managed.host) == before


@each_case
def test_a_daemon_that_hangs_or_has_ended_delays_nothing(managed: Managed, site: Site) -> None:
    """It takes part in no act, and what it does afterwards changes nothing."""
    before = around(site, managed.host)
    if not isinstance(managed, (Networkd, NetworkManager)):
        pytest.skip("it has no daemon")
    managed.daemon.hang()
    try:
        look, _ = withdraw(site)
        assert not look.present
        # Only NetworkManager has to be asked for its mask.
        is_masked = site.steps[0].argv[0] == "mask"
        assert is_masked == isinstance(managed, Networkd)
    finally:
        managed.daemon.resume()
    managed.settle()
    assert not site.look().present
    managed.daemon.stop()
    look, _ = restore(site)
    assert look.in_place
    managed.daemon.start()
    managed.settle()
    managed.wait_for(site.vip.address)
    assert around(site, managed.host) == before


@pytest.mark.parametrize("site", CASES[2:], indirect=True, ids=" ".join)
def test_what_networkd_remembers_is_found_and_takes_nothing_away(
    managed: Managed, site: Site
) -> None:
    """It reads its files when it starts, and when it is told to: not for `reconfigure`."""
    if managed.title or managed.name != "networkd":
        pytest.skip("this is about networkd alone")
    before, interface = around(site, managed.host), site.vip.placement.interface
    evidence = read_evidence(site.vip, site.shell.run(evidence_argv(site.vip)).stdout)
    assert evidence.keeps

    def networkctl(*verb: str) -> None:
        managed.host.run(["networkctl", *verb], check=True)
        managed.settle()

    withdraw(site)
    networkctl("reconfigure", interface)
    managed.wait_for(site.vip.address)
    assert site.look().present
    look, _ = withdraw(site)
    assert not look.present
    networkctl("reload")
    networkctl("reconfigure", interface)
    assert not site.look().present
    managed.start_again()
    look, _ = restore(site)
    assert look.in_place
    # Now it knows nothing of the VIP, and takes away from an interface what it does not know.
    networkctl("reconfigure", interface)
    assert site.look().in_place
    assert around(site, managed.host) == before
    networkctl("reload")


def test_a_second_profile_with_the_vip_is_named_and_masked_once_it_is_active(
    managed: Managed,
) -> None:
    """A mask is for one profile; what brings the VIP back by another is found."""
    if not isinstance(managed, NetworkManager):
        pytest.skip("it has no profiles")
    host, (address, _) = managed.host, VIPS["lo"]
    site, file = site_on(host, vip_on("lo", address)), f"{networkmanager.PROFILES}/other"
    first = host.run(["cat", f"{networkmanager.PROFILES}/lo.nmconnection"], check=True).stdout
    second = first.replace("id=lo\nuuid=6f", "id=other\nautoconnect=false\nuuid=7f")

    def nmcli(*words: str) -> None:
        host.run(["nmcli", "connection", *words], check=True)
        managed.settle()

    def masks() -> list[tuple[int | None, str]]:
        return [(one.status, one.said) for one in site.steps if one.argv[0] == "mask"]

    host.write(f"{file}.nmconnection", second, mode=0o600)
    try:
        nmcli("reload")
        look, _ = withdraw(site)
        assert not look.present
        ((status, said),) = masks()
        assert status == 1
        assert said.startswith(f"{file}.nmconnection has {address} too: take it out of that ")
        nmcli("up", "other")
        managed.wait_for(address)
        look, _ = withdraw(site)
        assert not look.present
        assert masks()[1][1].startswith(f"{networkmanager.PROFILES}/lo.nmconnection has {address}")
        nmcli("up", "other")
        assert not site.look().present
        look, _ = restore(site)
        assert look.in_place
    finally:
        host.run(["rm", "-f", f"{file}.nmconnection"], check=True)
        nmcli("reload")
        nmcli("up", "lo")
    # No mask is left of either.
    managed.start_again()
    managed.wait_for(address)
    assert site.look().masked == ""


def test_masks_may_be_repeated_and_are_not_mixed_up(managed: Managed) -> None:
    """As after one that was killed in the middle; each VIP of an interface has its own mask."""

    def masked() -> list[str]:
        return [site_on(managed.host, vip_on("lo", one)).look().masked for one in VIPS["lo"]]

    def change(what: str, address: str) -> None:
        argv = ["anycast-mask", what, managed.name, address, "lo"]
        managed.host.run(argv, check=True)

    first, second = VIPS["lo"]
    for what, one, after in (
        ("mask", first, [managed.name, ""]),
        ("mask", first, [managed.name, ""]),
        ("mask", second, [managed.name, managed.name]),
        ("unmask", first, ["", managed.name]),
        ("unmask", first, ["", managed.name]),
        ("unmask", second, ["", ""]),
    ):
        change(what, one)
        assert masked() == after, (what, one)
    managed.start_again()
    for one in (*VIPS["lo"], *OTHERS["lo"]):
        managed.wait_for(one)
