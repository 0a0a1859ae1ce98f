"""Programs that are kept from nothing: what they bring back is found, and withdrawn once more.

Each has a host of its own, which has two VIPs of each family on lo and on an interface of their
own, and two on aliases of lo. Each is the real program; nobody is a script of one's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest
from anycast_handlers.endpoint.site import Site

from lab import network, network_scripts
from lab.alone import host_alone
from lab.host import Host
from tests.lab.managed import OTHERS, OWN, VIPS, around, prefix, vip_on, wait_for
from tests.support.act import restore, withdraw
from tests.support.alone import install_helper, site_on

# The alias has a VIP of IPv4 alone, since no address of IPv6 has a label.
ALIASES = {"lo:0": "10.99.2.53", "lo:1": "10.99.2.54"}
ALIAS = ("lo:0", ALIASES["lo:0"])
CASES = [ALIAS, *((interface, address) for interface, of in VIPS.items() for address in of)]
# The plain run tries these; the rest is behind --all.
SAMPLE = [ALIAS, CASES[2], CASES[3]]
BRIDGE = ["ip", "link", "add", OWN, "type", "bridge"]


def addresses_on(interface: str) -> tuple[str, ...]:
    return (*OTHERS[interface], *VIPS[interface])


class Unmasked(ABC):
    """A host whose interfaces one program configures, in which nothing is masked."""

    name: ClassVar[str]
    # The activator of an alias; that of every other interface is ip.
    of_aliases: ClassVar[str] = "ip"
    cases: ClassVar[Sequence[tuple[str, str]]] = CASES
    is_sample: ClassVar[bool] = True

    def __init__(self, host: Host) -> None:
        self.host = host

    @classmethod
    def is_there(cls) -> bool:
        """Whether the program could be had."""
        return True

    @abstractmethod
    def begin(self) -> None:
        """Have everything configured."""

    @abstractmethod
    def brings_back(self, interface: str) -> Sequence[Sequence[str]]:
        """List commands each of which brings back what is configured on an interface."""


class Ifupdown(Unmasked):
    name = of_aliases = "ifupdown"

    def begin(self) -> None:
        for hook in network.HOOKS:
            self.host.run(["rm", "-rf", f"/etc/network/{hook}"], check=True)
            self.host.make_directory(f"/etc/network/{hook}")
        self.host.make_directory("/run/network")
        stanzas = ["auto lo", "iface lo inet loopback", *map(self._stanza, addresses_on("lo"))]
        for alias, address in ALIASES.items():
            stanzas += [f"auto {alias}", self._stanza(address, alias)]
        made = f"    pre-up {' '.join(BRIDGE)} || true"
        own = [self._stanza(address, OWN) for address in addresses_on(OWN)]
        self.host.write(
            "/etc/network/interfaces",
            "\n".join((*stanzas, f"auto {OWN}", own[0], made, *own[1:], "")),
        )
        self.host.run(["ifup", "-a"], check=True)

    def brings_back(self, interface: str) -> Sequence[Sequence[str]]:
        if interface in ALIASES:
            return (["ifup", interface], ["ifup", "-a"])
        # `ifup --force` ends at the first address that is there.
        again = f"ifdown {interface}; ifup {interface}"
        if interface == "lo":
            again += "".join(f"; ifup --force {alias}" for alias in ALIASES)
        return (["sh", "-c", again],)

    def _stanza(self, address: str, interface: str = "lo") -> str:
        if ":" in address:
            more = "    preferred-lifetime 0\n    dad-attempts 0"
            return f"iface {interface} inet6 static\n    address {prefix(address)}\n{more}"
        return f"iface {interface} inet static\n    address {prefix(address)}"


class NetworkScripts8(Unmasked):
    name = "network-scripts-8"
    release = 8
    # An alias beside addresses of IPv6 is refused; test_network_scripts.py has it without them.
    cases = CASES[1:]

    @classmethod
    def is_there(cls) -> bool:
        return network_scripts.sources(cls.release) is not None

    def begin(self) -> None:
        network_scripts.install(self.host, self.release, {})
        self.host.run(BRIDGE, check=True)
        for interface in VIPS:
            network_scripts.write_interface(self.host, interface, addresses_on(interface))
            self.host.run(["ifup", interface], check=True)

    def brings_back(self, interface: str) -> Sequence[Sequence[str]]:
        if interface == "lo":
            return (["ifup", "lo"],)
        return (["ifup", interface], ["sh", "-c", f"ifdown {interface}; ifup {interface}"])


class NetworkScripts7(NetworkScripts8):
    name = "network-scripts-7"
    release = 7
    is_sample = False


class Nobody(Unmasked):
    """A script of one's own, such as that of a unit of systemd."""

    name = "nobody"
    script = "/usr/local/sbin/addresses"

    def begin(self) -> None:
        self.host.run(["rm", "-f", "/usr/sbin/ifup", "/usr/sbin/ifdown"], check=True)
        lines = [" ".join(BRIDGE), f"ip link set {OWN} up"]
        for interface in VIPS:
            lines += [
                f"ip address replace {prefix(address)} dev {interface}"
                + (" preferred_lft 0 nodad" if ":" in address else "")
                for address in addresses_on(interface)
            ]
        lines += [
            f"ip address replace {prefix(address)} dev lo label {alias}"
            for alias, address in ALIASES.items()
        ]
        self.host.write(self.script, "\n".join(("#!/bin/sh", *lines, "")), mode=0o755)
        self.host.run([self.script], check=True)

    def brings_back(self, interface: str) -> Sequence[Sequence[str]]:
        return ([self.script],)


PROGRAMS = (Ifupdown, NetworkScripts8, NetworkScripts7, Nobody)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda one: one.name)
def unmasked(lab_is_possible: None, request: pytest.FixtureRequest) -> Iterator[Unmasked]:
    made = request.param
    if not made.is_sample and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    if not made.is_there():
        pytest.skip(f"there is no {made.name}")
    with host_alone(made.name) as host:
        install_helper(host, *(vip_on(*case) for case in CASES))
        unmasked = made(host)
        unmasked.begin()
        yield unmasked


@pytest.fixture
def site(unmasked: Unmasked, request: pytest.FixtureRequest) -> Site:
    interface, address = case = request.param
    if case not in SAMPLE and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    if case not in unmasked.cases:
        pytest.skip("it is refused there")
    wait_for(unmasked.host, address)
    return site_on(unmasked.host, vip_on(interface, address))


@pytest.mark.parametrize("site", CASES, indirect=True, ids=" ".join)
def test_the_vip_alone_leaves_and_comes_back_and_what_brings_it_back_is_found(
    unmasked: Unmasked, site: Site
) -> None:
    host, interface, address = unmasked.host, site.vip.interface, site.vip.address
    choice, before = site.choice(), around(site, host)
    assert choice.activator.name == (unmasked.of_aliases if interface == "lo:0" else "ip"), choice
    look, _ = withdraw(site)
    assert not look.present, site.steps
    assert around(site, host) == before
    for command in unmasked.brings_back(interface):
        host.run(command)
        wait_for(host, address, *(one for of in OTHERS.values() for one in of))
        assert site.look().present, command
        look, _ = withdraw(site)
        assert not look.present, (command, site.steps)
        assert around(site, host) == before, command
    look, _ = restore(site)
    assert look.in_place, site.steps
    assert around(site, host) == before
