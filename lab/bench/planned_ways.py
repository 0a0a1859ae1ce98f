"""The ways in which people take an endpoint out for maintenance: ours, by hand, and the peers'."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import monitoring, routing
from lab.lab import Endpoint, Lab
from lab.topology import ENDPOINTS, ENDPOINTS6, STYLES, VIP_NAME, Place

from .bgp_peers import DISABLE, Exabgp
from .ospf_peers import CONFIGURATION, HEALTHCHECKER, Healthchecker, Keepalived

# The default of the fleet file.
DRAIN = 5.0
ORDER_SECONDS = 60.0


@dataclass(frozen=True)
class Way(ABC):
    """One way to take an endpoint out of the routing, and to bring it back.

    Attributes:
        name: its name in the table.
        speaks: the daemon and protocol of all routers.
        places: the endpoints.
        delay: seconds from what the router is told to when it follows it.
        rolling: whether each endpoint is maintained, one after the other.
    """

    name: str
    speaks: str = routing.DEFAULT
    places: tuple[Place, ...] = ENDPOINTS
    delay: float = 0.0
    rolling: bool = False

    @property
    def style(self) -> str:
        """How the endpoints announce: a router follows an external route without any SPF."""
        return STYLES[1 if self.delay else 0]

    @abstractmethod
    def start(self, lab: Lab, peers: Path) -> None:
        """Start what it needs in a lab; `peers` is the peers' environment."""

    @abstractmethod
    def take_out(self, lab: Lab, endpoint: Endpoint) -> None:
        """Order it out of the routing."""

    @abstractmethod
    def bring_back(self, lab: Lab, endpoint: Endpoint) -> None:
        """Order it back."""


@dataclass(frozen=True)
class Ours(Way):
    """`withdraw` and `restore`, by hand on the monitoring host."""

    drain: float = DRAIN

    def start(self, lab: Lab, peers: Path) -> None:
        """See Way."""
        text = monitoring.fleet(lab.places, hold_down=0, drain=self.drain)
        lab.mon.write(monitoring.FLEET_FILE, text)
        lab.install_gate()

    def take_out(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        self._order(lab, "withdraw", endpoint)

    def bring_back(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        self._order(lab, "restore", endpoint)

    def _order(self, lab: Lab, verb: str, endpoint: Endpoint) -> None:
        argv = ["anycast-handler", verb, VIP_NAME, endpoint.place.name, "--reason", "an upgrade"]
        lab.mon.run(argv, user=monitoring.USER, timeout=ORDER_SECONDS, check=True)


@dataclass(frozen=True)
class ByHand(Way):
    """`ifdown` and `ifup` on the endpoint."""

    def start(self, lab: Lab, peers: Path) -> None:
        """See Way."""

    def take_out(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        endpoint.host.run(["ifdown", "lo:0"], check=True)

    def bring_back(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        endpoint.host.run(["ifup", "lo:0"], check=True)


@dataclass(frozen=True)
class StopKeepalived(Way):
    """keepalived is stopped, which takes the address away."""

    def start(self, lab: Lab, peers: Path) -> None:
        """See Way."""
        Keepalived("").start(lab, peers)

    def take_out(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        endpoint.host.end_daemon("/run/keepalived.pid")

    def bring_back(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        Keepalived.run_on(endpoint.host)


@dataclass(frozen=True)
class StopHealthchecker(Way):
    """anycast-healthchecker is stopped, and where it is disabled, started again as such."""

    disables: bool = False

    def start(self, lab: Lab, peers: Path) -> None:
        """See Way."""
        Healthchecker("").start(lab, peers)

    def take_out(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        endpoint.host.end_daemon(HEALTHCHECKER)
        if self.disables:
            self._set(endpoint, "check_disabled = true")

    def bring_back(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        if self.disables:
            endpoint.host.end_daemon(HEALTHCHECKER)
        self._set(endpoint, "check_disabled = false")

    def _set(self, endpoint: Endpoint, line: str) -> None:
        host = endpoint.host
        host.run(["sed", "-i", f"s/^check_disabled.*/{line}/", CONFIGURATION], check=True)
        Healthchecker.run_on(host)


@dataclass(frozen=True)
class DisableExabgp(Way):
    """A file tells ExaBGP's healthcheck that the service is disabled."""

    def start(self, lab: Lab, peers: Path) -> None:
        """See Way."""
        Exabgp("").start(lab, peers)

    def take_out(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        endpoint.host.write(DISABLE, "")

    def bring_back(self, lab: Lab, endpoint: Endpoint) -> None:
        """See Way."""
        endpoint.host.run(["rm", DISABLE], check=True)


def _ours() -> Iterator[Way]:
    by = {"frr": "FRR", "bird": "BIRD"}
    for one in routing.ROUTINGS:
        program, _, protocol = one.name.partition("-")
        title = f"withdraw, {by[program]} {protocol.upper().replace('OSPF6', 'OSPFv3')}"
        if one.ipv4:
            yield Ours(title, one.name)
        if one.ipv6:
            family = ", IPv6" if one.ipv4 else ""
            yield Ours(f"{title}{family}", one.name, ENDPOINTS6)


SLOW = (1.0, 3.0)
WAYS: tuple[Way, ...] = (
    *_ours(),
    Ours("withdraw, three in turn", rolling=True),
    Ours("withdraw, drain = 0", drain=0),
    ByHand("ifdown"),
    *(Ours(f"withdraw, SPF after {delay:g} s", delay=delay) for delay in SLOW),
    *(ByHand(f"ifdown, SPF after {delay:g} s", delay=delay) for delay in SLOW),
    StopKeepalived("keepalived stopped"),
    StopHealthchecker("anycast-healthchecker stopped"),
    StopHealthchecker("anycast-healthchecker disabled", disables=True),
    DisableExabgp("ExaBGP's disable file", Exabgp.speaks),
)
SMOKE = tuple(one for one in WAYS if one.name in ("withdraw, FRR OSPF", "ExaBGP's disable file"))
