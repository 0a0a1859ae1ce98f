"""The hosts of the lab, and their addresses.

Every host has a link of its own to the router, with a number N: the router has 10.0.N.1 on an
interface named after the host, the host has 10.0.N.2 on eth0. Three endpoints carry the VIP.
"""

from __future__ import annotations

from dataclasses import dataclass

VIP, VIP6 = "10.99.0.53", "2001:db8:99::53"
VIP_NAME = "resolver"
INTERFACE = "lo:0"
QUERY = "www.example.org"
RIGHT_ANSWER = "192.0.2.80"
ROUTER = "router"
NETWORK = "10.0.0.0/16"
STYLES = ("redistribute", "network")


@dataclass(frozen=True)
class Place:
    """A host's place in the network; an endpoint carries the VIP, and ``on`` may say where."""

    name: str
    link: int
    vip: str = VIP
    vip_name: str = VIP_NAME
    on: str = ""

    @property
    def address(self) -> str:
        """The host's own address; an endpoint's management address."""
        return f"10.0.{self.link}.2"

    @property
    def is_ipv6(self) -> bool:
        """Whether the VIP is one of IPv6; the management address never is."""
        return ":" in self.vip

    @property
    def interface(self) -> str:
        """The interface of the VIP, as the fleet file names it."""
        return self.on or ("lo" if self.is_ipv6 else INTERFACE)

    @property
    def prefix(self) -> str:
        """The VIP with its prefix length."""
        return f"{self.vip}/{128 if self.is_ipv6 else 32}"

    @property
    def gateway(self) -> str:
        """The router's address on the link."""
        return f"10.0.{self.link}.1"

    @property
    def address6(self) -> str:
        """The host's own address of IPv6, where the lab has IPv6."""
        return f"2001:db8:{self.link}::2"

    @property
    def gateway6(self) -> str:
        """The router's address of IPv6 on the link."""
        return f"2001:db8:{self.link}::1"

    @property
    def network(self) -> str:
        """The link's network."""
        return f"10.0.{self.link}.0/30"


ENDPOINTS = (Place("ns1", 1), Place("ns2", 2), Place("ns3", 3))
ENDPOINTS6 = tuple(Place(place.name, place.link, VIP6) for place in ENDPOINTS)
MON, CLIENT = Place("mon", 4), Place("client", 5)
PLACES = (*ENDPOINTS, MON, CLIENT)
NAMES = (ROUTER, *(place.name for place in PLACES))


def hosts_file(name: str) -> str:
    """Write the /etc/hosts of the host of that name.

    An endpoint's own name is not in it, as on many cloud images: a program that looks it up there
    asks the resolver of that very endpoint.
    """
    is_endpoint = name in {place.name for place in ENDPOINTS}
    own = "" if is_endpoint else f"127.0.1.1 {name}\n"
    known = [place for place in PLACES if not (is_endpoint and place.name == name)]
    others = "".join(f"{place.address} {place.name}\n" for place in known)
    return f"127.0.0.1 localhost\n::1 localhost\n{own}{others}"
