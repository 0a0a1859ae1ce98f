"""The routing of a lab: which daemon speaks which protocol, on the endpoints and on the router.

The configurations are those of docs/routing/, which are written for ns1. Here the addresses of each
endpoint take the place of those of ns1, and timers are added that make the lab quick.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import bird, frr
from .errors import LabError
from .host import Host
from .topology import STYLES, VIP, VIP6, Place

DIRECTORY = Path(__file__).parents[1] / "docs" / "routing"
DEFAULT = "frr-ospf"
REDISTRIBUTES = " redistribute connected route-map ANYCAST\n"
# These lines are added behind one of the configurations, so that a dead neighbor is noticed within
# 3 to 4 s, and spoken to again a second after it is back.
TIMERS = {
    # OSPF's pause of 5 s between two versions of an LSA would make a start take 12 s, so it is off
    # until the lab has started.
    r" ospf router-id .*": " timers throttle lsa all 0\n timers lsa min-arrival 0\n",
    r"( ip ospf) network .*": r"\1 hello-interval 1\n\1 dead-interval 4\n",
    r"( ipv6 ospf6) network .*": r"\1 hello-interval 1\n\1 dead-interval 4\n",
    r"( neighbor \S+) remote-as .*": r"\1 timers 1 3\n\1 timers connect 1\n",
    r"  neighbor \S+ as \d+;": "  hold time 3; connect retry time 1; connect delay time 1;\n"
    "  error wait time 1, 1;\n",
}


@dataclass(frozen=True)
class Routing:
    """A daemon and a protocol.

    Attributes:
        name: the name of its configurations, such as "frr-bgp".
        program: the daemon of FRR that speaks the protocol; empty for BIRD.
        ipv4: whether it carries VIPs of IPv4.
        ipv6: whether it carries VIPs of IPv6.
    """

    name: str
    program: str
    ipv4: bool = True
    ipv6: bool = True

    def start_endpoint(self, host: Host, place: Place, style: str = STYLES[0]) -> None:
        """Start the routing of an endpoint, which announces the VIP in a style."""
        text = self.endpoint_text(place)
        if style == STYLES[1]:
            text = text.replace(REDISTRIBUTES, f" network {place.prefix} area 0\n")
        self._start(host, text)

    def start_router(self, host: Host, places: Sequence[Place]) -> None:
        """Start the routing of the router."""
        self._start(host, _repeat(self._text("router"), places))

    def endpoint_text(self, place: Place) -> str:
        """Give the configuration of an endpoint."""
        return _of(self._text("endpoint"), place)

    @property
    def pidfile(self) -> str:
        """Where the daemon leaves its process id."""
        return frr.pidfile(self.program) if self.program else bird.PIDFILE

    @property
    def starts(self) -> Sequence[str]:
        """The command that starts the daemon again, with the configuration that it has."""
        return frr.starts(self.program) if self.program else bird.STARTS

    def shut_sessions(self, host: Host, place: Place, *, shut: bool) -> None:
        """Let an endpoint exchange no routes with its neighbors, or let it exchange them again."""
        no = "" if shut else "no "
        if self.program == "bgpd":
            peers = (place.gateway, place.gateway6)
            lines = [f"{no}neighbor {peer} shutdown" for peer in peers]
            frr.configure(host, self.program, f"router bgp {65000 + place.link}", *lines)
        elif self.program:
            family = "ipv6 ospf6" if self.program == "ospf6d" else "ip ospf"
            frr.configure(host, self.program, "interface eth0", f"{no}{family} passive")
        else:
            bird.ask(host, "disable all" if shut else "enable all")

    def hide(self, host: Host, place: Place, *, hidden: bool) -> None:
        """Let the daemon of an endpoint not announce what is present, or announce it again."""
        if self.program:
            family, name = ("ipv6", "ANYCAST6") if place.is_ipv6 else ("ip", "ANYCAST")
            action = "deny" if hidden else "permit"
            line = f"{family} prefix-list {name} seq 5 {action} {place.prefix}"
            frr.configure(host, self.program, line)
        else:
            text = self.endpoint_text(place)
            bird.configure(host, text.replace("then accept", "then reject") if hidden else text)

    def _text(self, whose: str) -> str:
        text = (DIRECTORY / f"{self.name}-{whose}.conf").read_text()
        for line, more in TIMERS.items():
            text = re.sub(rf"(?m)^{line}\n", rf"\g<0>{more}", text)
        return text

    def _start(self, host: Host, text: str) -> None:
        if self.program:
            frr.start(host, text, self.program)
        else:
            bird.start(host, text)


ROUTINGS = (
    Routing(DEFAULT, "ospfd", ipv6=False),
    Routing("frr-ospf6", "ospf6d", ipv4=False),
    Routing("frr-bgp", "bgpd"),
    Routing("bird-ospf", "", ipv6=False),
    Routing("bird-ospf6", "", ipv4=False),
    Routing("bird-bgp", ""),
)


def find(name: str) -> Routing:
    """Find a routing by its name. Raises: LabError."""
    for routing in ROUTINGS:
        if routing.name == name:
            return routing
    raise LabError(f"{name!r} is no routing: one of {', '.join(r.name for r in ROUTINGS)}")


def _of(text: str, place: Place) -> str:
    """Put the addresses of an endpoint in the place of those of ns1."""
    number = place.link
    for old, new in (
        (r"\bns1", place.name),
        (r"\b10\.0\.1\.", f"10.0.{number}."),
        (r"\b2001:db8:1:", f"2001:db8:{number}:"),
        (r"\b65001\b", str(65000 + number)),
        (rf"\b{re.escape(VIP6 if place.is_ipv6 else VIP)}\b", place.vip),
    ):
        text = re.sub(old, new, text)
    return text


def _repeat(text: str, places: Sequence[Place]) -> str:
    """Repeat for each endpoint what the router's configuration has for ns1.

    That is a whole paragraph where its first line is about ns1, and single lines elsewhere.
    """
    made = []
    for paragraph in text.rstrip().split("\n\n"):
        first, *_ = lines = paragraph.split("\n")
        parts = [paragraph] if _is_about_ns1(first) else lines
        for part in parts:
            made += [_of(part, p) for p in places] if _is_about_ns1(part) else [part]
        made.append("")
    return "\n".join(made)


def _is_about_ns1(text: str) -> bool:
    return bool(re.search(r"\bns1|\b10\.0\.1\.|\b2001:db8:1:", text))
