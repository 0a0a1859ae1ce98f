"""Read FRR's JSON about OSPF, one document for each question, into values."""

from typing import Any

from ..errors import OtherDaemonError
from .documents import documents as read_documents
from .documents import listing, mapping, text
from .ospf_lsa import (
    Area,
    Kind,
    Link,
    LinkKind,
    Lsa,
    Neighbor,
    View,
    address,
    is_address,
    is_flushed,
    link_kind,
    number,
    one_router_id,
)
from .vtysh import unreadable

_SECTIONS = {
    Kind.ROUTER: "routerLinkStates",
    Kind.NETWORK: "networkLinkStates",
    Kind.SUMMARY: "summaryLinkStates",
    Kind.ASBR_SUMMARY: "asbrSummaryLinkStates",
    Kind.EXTERNAL: "asExternalLinkStates",
    Kind.NSSA_EXTERNAL: "nssaExternalLinkStates",
}
# Older versions name a section in words. Its keys are Link State IDs, so of several routers that
# announce the same address only the last one is in it.
_OLD_SECTIONS = ("Router Link States", "AS External Link States", "NSSA-external Link States")
_PROCESS, _NEIGHBORS = "attachedAreaCounter", "neighbors"
_LINK_KEYS = {
    LinkKind.ROUTER: ("neighborRouterId", "routerInterfaceAddress"),
    LinkKind.VIRTUAL: ("neighborRouterId", "routerInterfaceAddress"),
    LinkKind.TRANSIT: ("designatedRouterAddress", "routerInterfaceAddress"),
    LinkKind.STUB: ("networkAddress", "networkMask"),
}
_FLAGS, _BORDER = "lsaFlags", 0x1
# The first one is misspelt in FRR itself.
_ATTACHED = ("attchedRouters", "attachedRouters")


def read(answer: str) -> View:
    """Read the answers to all questions.

    Raises:
        RoutingUnreadableError: a part of them is missing or makes no sense.
    """
    documents = read_documents(answer)
    process = _one(documents, _PROCESS)
    lsas: list[Lsa] = []
    router_ids = {address(process.get("routerId"))}
    for kind, section in _SECTIONS.items():
        document = _one(documents, section)
        router_ids.add(address(document.get("routerId")))
        lsas += _section(kind, document[section])
    return View(
        router_id=one_router_id(router_ids),
        areas=_areas(process),
        neighbors=_neighbors(mapping(_one(documents, _NEIGHBORS)[_NEIGHBORS])),
        lsas=tuple(lsas),
    )


def _one(documents: list[dict[str, Any]], key: str) -> dict[str, Any]:
    found = [document for document in documents if key in document]
    if len(found) == 1:
        return found[0]
    if any(old in document for document in documents for old in _OLD_SECTIONS):
        raise OtherDaemonError("this version's JSON about OSPF leaves out what must be counted")
    raise unreadable(f"{key} is there {len(found)} times")


def _areas(process: dict[str, Any]) -> tuple[Area, ...]:
    areas = mapping(process.get("areas"))
    if number(process[_PROCESS]) != len(areas):
        raise unreadable("not all areas are there")
    return tuple(
        Area(address(id_), _area_kind(mapping(area)), number(area.get("areaIfActiveCounter")))
        for id_, area in areas.items()
    )


def _area_kind(area: dict[str, Any]) -> str:
    if area.get("nssa"):
        return "NSSA"
    return "stub" if area.get("stubNoSummary") else "normal"


def _neighbors(neighbors: dict[str, Any]) -> tuple[Neighbor, ...]:
    return tuple(
        Neighbor(
            # FRR lists neighbors without a router-id under a word in the place of the id.
            name if is_address(name) else text(mapping(neighbor).get("ifaceAddress", name)),
            text(mapping(neighbor).get("nbrState")).split("/")[0],
            text(neighbor.get("ifaceName")).split(":")[0],
        )
        for name, adjacencies in neighbors.items()
        for neighbor in listing(adjacencies)
    )


def _section(kind: Kind, section: object) -> list[Lsa]:
    if kind is Kind.EXTERNAL:
        return [_lsa(kind, None, mapping(lsa)) for lsa in listing(section)]
    areas = mapping(mapping(section).get("areas"))
    return [
        _lsa(kind, address(area), mapping(lsa)) for area in areas for lsa in listing(areas[area])
    ]


def _lsa(kind: Kind, area: str | None, lsa: dict[str, Any]) -> Lsa:
    has_prefix = kind in (Kind.SUMMARY, Kind.EXTERNAL, Kind.NSSA_EXTERNAL)
    is_router = kind is Kind.ROUTER
    return Lsa(
        kind=kind,
        area=area,
        age=number(lsa.get("lsaAge")),
        id=address(lsa.get("linkStateId")),
        router=address(lsa.get("advertisingRouter")),
        border=is_router and bool(number(lsa.get("flags")) & _BORDER),
        links=_links(lsa) if is_router else (),
        attached=_attached(lsa) if kind is Kind.NETWORK else (),
        prefix_length=number(lsa.get("networkMask")) if has_prefix else None,
        flushed=is_flushed(number(lsa[_FLAGS]) if _FLAGS in lsa else None),
    )


def _links(lsa: dict[str, Any]) -> tuple[Link, ...]:
    links = mapping(lsa.get("routerLinks"))
    if number(lsa.get("numOfLinks")) != len(links):
        raise unreadable("not all links of a router LSA are there")
    return tuple(_link(mapping(link)) for link in links.values())


def _link(link: dict[str, Any]) -> Link:
    kind = link_kind(link.get("linkType"))
    to, data = _LINK_KEYS[kind]
    return Link(kind, address(link.get(to)), address(link.get(data)))


def _attached(lsa: dict[str, Any]) -> tuple[str, ...]:
    found = [lsa[key] for key in _ATTACHED if key in lsa]
    return tuple(map(address, mapping(found[0] if found else None)))
