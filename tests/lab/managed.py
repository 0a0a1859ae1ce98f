"""Each manager of interfaces on a host of its own, with VIPs of both families on two interfaces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address
from typing import ClassVar

from anycast_handlers.activators._choice import AUTO
from anycast_handlers.endpoint.site import Site
from anycast_handlers.fleet.values import Endpoint, Vip

from lab import ifupdown2, netplan, networkd, networkmanager, systemd
from lab.alone import host_alone, unpacked
from lab.host import Host
from lab.managers import Manager
from lab.waiting import wait_until
from tests.support.alone import addresses_of

OWN = "anycast0"
VIPS: dict[str, tuple[str, ...]] = {
    "lo": ("10.99.0.53", "2001:db8:99::53"),
    OWN: ("10.99.1.53", "2001:db8:99:1::53"),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "lo": ("10.99.0.54", "2001:db8:99::54"),
    OWN: ("10.99.1.54", "2001:db8:99:1::54"),
}


def prefix(address: str) -> str:
    """Write an address with its length."""
    return f"{address}/{128 if ':' in address else 32}"


def vip_on(interface: str, address: str, activator: str = AUTO) -> Vip:
    """Give the VIP of an address."""
    endpoints = (Endpoint("ns1", "192.0.2.11"),)
    return Vip(address, address, interface, ("/bin/check",), endpoints, activator=activator)


def around(site: Site, host: Host) -> dict[str, set[tuple[str, str]]]:
    """List the addresses of both interfaces without the VIP."""
    mine = prefix(site.vip.address)
    return {
        interface: {one for one in addresses_of(host, interface) if one[0] != mine}
        for interface in VIPS
    }


def wait_for(host: Host, *addresses: str) -> None:
    """Wait until a host has all of these addresses."""

    def there() -> bool:
        said = host.run(["ip", "-o", "address", "show"], check=True).stdout
        lines = [line for line in said.splitlines() if " tentative " not in line]
        return all(any(f" {prefix(one)} " in line for line in lines) for one in addresses)

    wait_until(there, f"{host.name} has {', '.join(addresses)}")


Daemon = Manager | systemd.Unit


class Managed(ABC):
    """A host whose interfaces one manager configures; ``name`` is the activator's name."""

    name: ClassVar[str]
    title: ClassVar[str] = ""
    # Each command brings an address back that is configured; {} is the interface.
    brings_back: ClassVar[Sequence[Sequence[str]]]

    def __init__(self, host: Host) -> None:
        self.host = host

    @classmethod
    def make_host(cls) -> AbstractContextManager[Host]:
        """Make the host, which has no manager yet."""
        return host_alone(cls.title or cls.name)

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
        """Wait until the host has all of these addresses."""
        wait_for(self.host, *addresses)

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
        self.daemon = self.make_daemon()
        self.daemon.start()
        self.wait_for(*(one for of in (*VIPS.values(), *OTHERS.values()) for one in of))

    def make_daemon(self) -> Daemon:
        """Make ready what networkd needs."""
        return networkd.networkd(self.host)

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


class Systemd(Networkd):
    """networkd as a service of a systemd that is process 1, sandbox included."""

    title = "systemd"

    @classmethod
    def make_host(cls) -> AbstractContextManager[Host]:
        return systemd.systemd_alone(cls.title, "dbus.service")

    def make_daemon(self) -> Daemon:
        return systemd.Unit(self.host, "systemd-networkd.service", "systemd-networkd.socket")


class Netplan(Networkd):
    """networkd, whose file of lo is netplan's."""

    title = "netplan"
    packages: ClassVar[Sequence[str]] = ()
    brings_back: ClassVar[Sequence[Sequence[str]]] = (
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
        netplan.install(self.host, *self.packages)
        super().begin()


class NetplanApplied(Netplan, Systemd):
    """`netplan apply` itself, below a systemd that is process 1."""

    title = "netplan-apply"
    brings_back = (netplan.APPLY,)
    packages = netplan.APPLY_PACKAGES


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


MANAGERS = (Networkd, Systemd, Netplan, NetplanApplied, NetworkManager, Ifupdown2)
THERE: dict[str, Callable[[], bool]] = {
    "networkd": lambda: True,
    "systemd": lambda: systemd.groups() is not None,
    "netplan": netplan.is_there,
    "netplan-apply": lambda: systemd.groups() is not None and netplan.can_apply(),
    "networkmanager": networkmanager.is_there,
    "ifupdown2": lambda: bool(unpacked("ifupdown2")),
}
