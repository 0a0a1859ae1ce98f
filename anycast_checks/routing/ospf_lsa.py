"""The link-state database as values, which the parsers make and `ospf` judges."""

import enum
import re
from typing import NamedTuple

from .vtysh import misplaced, unreadable

_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_LARGEST = 10**10
_NUMBER = re.compile(r"[0-9]{1,10}")
_IN_MAXAGE = 0x80


class Kind(enum.Enum):
    """The kinds of LSA that are asked for, in vtysh's words."""

    ROUTER = "router"
    NETWORK = "network"
    SUMMARY = "summary"
    ASBR_SUMMARY = "asbr-summary"
    EXTERNAL = "external"
    NSSA_EXTERNAL = "nssa-external"


class LinkKind(enum.Enum):
    """What a link in a router LSA leads to, in ospfd's words."""

    ROUTER = "another Router (point-to-point)"
    VIRTUAL = "a Virtual Link"
    TRANSIT = "a Transit Network"
    STUB = "Stub Network"


class Link(NamedTuple):
    """One link of a router LSA.

    Attributes:
        kind: what the link leads to.
        to: router-id of the neighbor, address of the designated router, or network of the stub.
        data: the router's own address on the link, or the network mask of the stub.
    """

    kind: LinkKind
    to: str
    data: str


class Lsa(NamedTuple):
    """One LSA of the link-state database.

    Attributes:
        kind: kind of the LSA.
        area: area whose database has the LSA; None for AS-external, which belongs to no area.
        age: age in seconds; 3600 where the LSA was withdrawn, or was not refreshed.
        id: Link State ID.
        router: router-id of the router that advertises the LSA.
        border: whether a router LSA is that of an area border router.
        links: links of a router LSA.
        attached: router-ids of the routers on the network of a network LSA.
        prefix_length: prefix length of a summary or external LSA, whose id is the network.
        do_not_age: whether the age stands still (DoNotAge, RFC 4136); FRR says so in text only.
        flushed: whether the router that was asked is about to remove the LSA.
    """

    kind: Kind
    area: str | None
    age: int
    id: str
    router: str
    border: bool = False
    links: tuple[Link, ...] = ()
    attached: tuple[str, ...] = ()
    prefix_length: int | None = None
    do_not_age: bool = False
    flushed: bool = False


class Area(NamedTuple):
    """An area of the router that was asked.

    Attributes:
        id: area id in dotted form.
        kind: "normal", "stub" or "NSSA" (FRR's JSON calls a stub area with summaries normal).
        interfaces: number of the router's active interfaces in the area.
    """

    id: str
    kind: str
    interfaces: int


class Neighbor(NamedTuple):
    """An OSPF neighbor.

    Attributes:
        name: router-id of the neighbor; its address where it is configured by hand (NBMA) and has
            not answered yet, because its router-id is not known then.
        state: its state, such as "Full" or "2-Way".
        interface: interface of the router that leads to the neighbor.
    """

    name: str
    state: str
    interface: str


class View(NamedTuple):
    """OSPF as one router sees it; of the summary and external LSAs, those for one VIP."""

    router_id: str
    areas: tuple[Area, ...]
    neighbors: tuple[Neighbor, ...]
    lsas: tuple[Lsa, ...]


def address(value: object) -> str:
    """Accept an address or a router-id. Raises: RoutingUnreadableError."""
    if isinstance(value, str) and is_address(value):
        return value
    raise misplaced(value, "an address")


def is_address(value: object) -> bool:
    """Tell whether a value is an address or a router-id."""
    return isinstance(value, str) and bool(_ADDRESS.fullmatch(value))


def is_flushed(flags: int | None) -> bool:
    """Read from ospfd's own flags of an LSA, None where it shows none, that it removes the LSA."""
    return flags is None or bool(flags & _IN_MAXAGE)


def number(value: object) -> int:
    """Accept a count or an age, as a number or in digits. Raises: RoutingUnreadableError."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST:
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    raise misplaced(value, "a number")


def link_kind(value: object) -> LinkKind:
    """Accept what ospfd calls a kind of link. Raises: RoutingUnreadableError."""
    for kind in LinkKind:
        if value == kind.value:
            return kind
    raise misplaced(value, "a kind of link")


def one_router_id(found: set[str]) -> str:
    """Accept the router-id that all answers must share. Raises: RoutingUnreadableError."""
    if len(found) != 1:
        raise unreadable(f"{len(found)} router-ids")
    return found.pop()
