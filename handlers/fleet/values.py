"""The fleet as frozen values: VIPs, endpoints, policy, and how to log in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from anycast_checks.addresses import is_same
from anycast_checks.placement import Placement, place

from ..errors import ConfigurationError


class Ssh(NamedTuple):
    """How to log in to the endpoints."""

    user: str
    identity: str
    known_hosts: str


class Jump(NamedTuple):
    """A bastion through which SSH goes; without a user it is logged in to as on the endpoints."""

    host: str
    port: int = 22
    user: str = ""

    def __str__(self) -> str:
        """Write it as the fleet file has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port != 22 else ""
        return f"{self.user}@{host}{port}" if self.user else f"{host}{port}"


# Where SSH goes: an address and a port.
Place = tuple[str, int]


class Endpoint(NamedTuple):
    """A host that carries a VIP.

    ``address`` is its management address, and ``site`` the name of those that a person thinks of
    together, such as a data centre; empty where the fleet file names none. ``jump`` is the bastion
    through which SSH goes there; None where it goes there directly.
    """

    name: str
    address: str
    port: int = 22
    never_withdraw: bool = False
    site: str = ""
    jump: Jump | None = None

    @property
    def place(self) -> Place:
        """Say where it is, whatever its name is."""
        return self.address, self.port


class StreamSettings(NamedTuple):
    """How the stream of a VIP is asked for, and what makes it evidence; times are seconds.

    ``interval`` is the time from one question to the next, ``retry`` the pause after one that
    failed, ``samples`` the number of failing ones in a row that are a failure, and ``patience`` for
    how long nothing but failing ones must have come.
    """

    interval: float = 0.2
    retry: float = 0.02
    samples: int = 2
    patience: float = 0.5


class Vip(NamedTuple):
    """An anycast address, its endpoints and its policy; times are seconds.

    ``also_announced_by`` are networks of IPv4 with the router-ids of those that announce it and are
    no endpoint of this fleet file.
    """

    name: str
    address: str
    interface: str
    check: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    restore: str = "auto"
    hold_down: float = 60.0
    max_restores: int = 3
    activator: str = "auto"
    min_announcing: str = "50%"
    routing: str = "auto"
    count_by: str = "auto"
    spacing: float = 5.0
    stream: StreamSettings = StreamSettings()
    drain: float = 5.0
    min_announcing_per_site: int = 0
    also_announced_by: tuple[str, ...] = ()

    @property
    def placement(self) -> Placement:
        """Say where the VIP lives on its endpoints."""
        return place(self.address, self.interface)

    @property
    def floor(self) -> int:
        """Give how many endpoints must keep announcing, at least one."""
        number = int(self.min_announcing.removesuffix("%"))
        if self.min_announcing.endswith("%"):
            number = len(self.endpoints) * number // 100
        return max(1, number)

    @property
    def sites(self) -> dict[str, tuple[Endpoint, ...]]:
        """Give the endpoints of each site, in their order; those without a site are under ""."""
        sites: dict[str, tuple[Endpoint, ...]] = {}
        for one in self.endpoints:
            sites[one.site] = (*sites.get(one.site, ()), one)
        return sites

    def endpoint(self, name: str) -> Endpoint | None:
        """Find the endpoint of that name."""
        return next((e for e in self.endpoints if e.name == name), None)


class Paths(NamedTuple):
    """Where the handler keeps its locks and its log, and the file that stops it."""

    state: str = "/var/lib/anycast-handler"
    log: str = "/var/log/anycast-handler/decisions.jsonl"
    stop: str = "/etc/anycast/stop"


class Watch(NamedTuple):
    """How the watcher is careful; times are seconds.

    Attributes:
        stream: how the streams are asked for, where a VIP says nothing else.
        common_cause_patience: how long the watcher leaves alone what seems to have one cause.
        rank: the place of this monitoring host among those that watch; 0 acts first.
    """

    stream: StreamSettings = StreamSettings()
    common_cause_patience: float = 60.0
    rank: int = 0


class Icinga(NamedTuple):
    """How the watcher reports to Icinga 2.

    ``attempts`` is the largest number of attempts of its services, and ``watcher`` the name of the
    host there that has the service of the watcher; empty for the name of this machine.
    """

    host: str
    port: int
    user: str
    password_file: str
    ca: str
    attempts: int = 3
    watcher: str = ""


class Nagios(NamedTuple):
    """How the watcher reports to Nagios; the rest is as with Icinga."""

    command_file: str
    attempts: int = 3
    watcher: str = ""


class Fleet(NamedTuple):
    """The whole fleet file; an engine is None where the watcher does not report to it.

    ``included`` names the files that are part of it, and ``monitors`` are the monitoring hosts that
    act on these endpoints.
    """

    file: str
    ssh: Ssh
    vips: tuple[Vip, ...]
    paths: Paths
    watch: Watch = Watch()
    icinga: Icinga | None = None
    nagios: Nagios | None = None
    included: tuple[str, ...] = ()
    monitors: tuple[Endpoint, ...] = ()

    def find(self, vip: str, endpoint: str) -> tuple[Vip, Endpoint]:
        """Resolve two names of the fleet file.

        Raises:
            ConfigurationError: a name is not in the file; the text lists those that are.
        """
        found = self.vip(vip)
        member = found.endpoint(endpoint)
        if member is None:
            known = ", ".join(e.name for e in found.endpoints)
            raise ConfigurationError(
                f"{self.file}: vip.{found.name} has no endpoint {endpoint!r} (it has: {known})"
            )
        return found, member

    def vip(self, name: str) -> Vip:
        """Find the VIP of that name, or raise ConfigurationError."""
        for vip in self.vips:
            if vip.name == name:
                return vip
        known = ", ".join(v.name for v in self.vips)
        raise ConfigurationError(f"{self.file}: there is no VIP {name!r} (there is: {known})")

    def places_of(self, host: str) -> set[Place]:
        """Find an endpoint or a monitoring host by a name or an address, however that is written.

        A host may have another name in each VIP.
        """
        every = (self.monitors, *(vip.endpoints for vip in self.vips))
        found = (one for hosts in every for one in hosts)
        return {one.place for one in found if host == one.name or is_same(host, one.address)}

    def siblings(self, vip: Vip, endpoint: Endpoint) -> tuple[Vip, ...]:
        """List the other VIPs that the same host carries."""
        return tuple(
            other
            for other in self.vips
            if other is not vip and any(e.address == endpoint.address for e in other.endpoints)
        )


Member = tuple[Vip, Endpoint]


def grouped_by_host(members: Iterable[Member]) -> list[list[Member]]:
    """Group VIPs and endpoints by the host that carries them, in the order in which they come."""
    hosts: dict[Place, list[Member]] = {}
    for vip, endpoint in members:
        hosts.setdefault(endpoint.place, []).append((vip, endpoint))
    return list(hosts.values())
