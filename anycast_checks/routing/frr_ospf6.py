"""OSPFv3 of FRR: which routers announce a VIP, from the link-state database of one router.

A router announces the VIP by an AS-external LSA (`redistribute connected`), or by an LSA of its own
prefixes (lo in the area). The LSAs of a dead host stay for up to an hour, so only those routers
count that are in the tree of shortest paths. A flushed LSA has the age 3600, and is listed for a
while yet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import CountUnknownError, NoDaemonError
from . import vtysh
from .daemon import Advice, Answer, Ask, Question, RoutingState, Unknown, Weakness, ask_one
from .documents import documents, listing, mapping, text
from .ospf import FULL, MAX_AGE, adjacencies
from .ospf_lsa import Neighbor, address, is_address, number
from .ospf_vtysh import ROUTER_ID_ARGV

NOT_CONFIGURED = "OSPFv3 is not configured"
_QUESTIONS = ("database", "spf tree", "neighbor")
_ABSENT = {"is not running": "ospf6d is not running"}
_CONFIGURED = re.compile(r"^ *(ospf6 |ip )?router-id \d", re.MULTILINE)
# LSAs that have no prefix of the router itself: its links, and what a border router sums up.
_SUMMARY, _BEYOND = "IAP", "IAR"
_WITHOUT_OWN = ("Rtr", "Net", "Grp", "Lnk", _SUMMARY, _BEYOND)


@dataclass(frozen=True)
class FrrOspf6:
    """OSPFv3 of FRR, which is asked by vtysh; see RoutingDaemon."""

    protocol: str = "OSPF"
    settled: str = FULL
    relation: str = "adjacency"
    shows_all: bool = True
    older: None = None

    def carries(self, vip: str) -> bool:
        """Tell whether a VIP is of IPv6; see RoutingDaemon."""
        return ipaddress.ip_address(vip).version == 6

    def advise(self, vip: str) -> Advice:
        """Say what a person has to do about trouble with ospf6d; see RoutingDaemon."""
        return Advice(
            announce="let `redistribute connected` of ospf6d permit it, "
            "or put its interface into an area",
            retract="let ospf6d announce what is connected, and no static route or other interface",
            adjacency="compare hello and dead intervals, area, network type, MTU and password "
            "of both ends",
            router_id="configure `ospf6 router-id` with an address of its own",
        )

    def question(self, vip: str) -> Question:
        """Give the question about a VIP; see RoutingDaemon."""
        asked = [f"show ipv6 ospf6 {what} json" for what in _QUESTIONS]
        asked.append("show ipv6 ospf6 json")
        return vtysh.question(asked, ("ospf6", vip), daemon="ospf6d", socket="ospf6d")

    def read(self, vip: str, answer: Answer) -> RoutingState:
        """Read the link-state database, the tree and the neighbors; see RoutingDaemon."""
        database, tree, neighbors, process = _documents(answer)
        router_id = address(process.get("routerId"))
        areas = [
            name
            for name, area in mapping(process.get("areas", {})).items()
            if listing(mapping(area).get("interfacesAttachedToArea", []))
        ]
        near = tuple(_neighbors(neighbors))
        lsas = [lsa for lsa in _lsas(database) if number(lsa.get("age")) < MAX_AGE]
        announcing = frozenset(_announcing(lsas, f"{vip}/128"))
        try:
            reached = _reached(router_id, areas, tree, near)
            _refuse_sums(lsas, f"{vip}/128", reached)
            found: frozenset[str] | Unknown = announcing & reached
        except CountUnknownError as error:
            found = Unknown(str(error))
        return RoutingState(
            self,
            router_id,
            router_id in announcing,
            found,
            adjacencies(near),
            f"area {' and '.join(sorted(areas)) or 'none'}",
        )

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find a router-id that may one day be an IPv4 address of lo; see RoutingDaemon."""
        answer = ask_one(ask, ROUTER_ID_ARGV)
        if answer.status != 0 or vtysh.is_unknown(answer.stdout):
            return
        if vtysh.stands_alone("ospf6d", answer.stdout):
            yield vtysh.alone("ospf6d")
        if not _CONFIGURED.search(answer.stdout):
            yield Weakness(
                f"the OSPFv3 router-id {state.router_id} is not configured, "
                "and may become a VIP when ospf6d starts",
                self.advise(vip).router_id + (f", such as {own}" if own else ""),
                hurts=False,
            )


DAEMON = FrrOspf6()


def _documents(answer: Answer) -> list[dict[str, Any]]:
    """Take an answer apart into those to each question."""
    said = vtysh.without_noise(answer.stdout)
    trouble = vtysh.trouble(f"{said}\n{vtysh.without_noise(answer.stderr)}", _ABSENT)
    if answer.status == 0 and not said.strip() and not trouble:
        raise NoDaemonError(NOT_CONFIGURED)
    if answer.status != 0 or not said.lstrip().startswith("{"):
        raise trouble or vtysh.unreadable(f"no JSON at {said[:40]!r}")
    found = documents(said)
    if len(found) != len(_QUESTIONS) + 1:
        raise vtysh.unreadable(f"{len(found)} documents")
    return found


def _lsas(database: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for scope in ("areaScopedLinkStateDb", "asScopedLinkStateDb"):
        for part in listing(database.get(scope)):
            for lsa in listing(mapping(part).get("lsa")):
                yield mapping(lsa)


def _announcing(lsas: list[dict[str, Any]], prefix: str) -> Iterator[str]:
    """Name the routers that have an LSA for the prefix, whether they can be reached or not."""
    for lsa in lsas:
        if lsa.get("payload") == prefix and text(lsa.get("type")) not in _WITHOUT_OWN:
            yield address(lsa.get("advRouter"))


def _reached(
    own: str, areas: list[str], tree: Mapping[str, Any], near: tuple[Neighbor, ...]
) -> frozenset[str]:
    """Find the routers that can be reached.

    Raises:
        CountUnknownError: this router does not see all of them.
    """
    if len(areas) > 1:
        raise CountUnknownError(f"{own} is in the areas {' and '.join(areas)}: none shows them all")
    reached: set[str] = set()
    todo = [mapping(area) for area in tree.values()]
    while todo:
        for name, node in todo.pop().items():
            # A network between several routers is a node too, and is no router.
            if is_address(name):
                reached.add(name)
            todo.append(mapping(mapping(node).get("children", {})))
    full = {one.name for one in near if one.state == FULL}
    # A router that has just started is not in the LSA of its neighbor yet.
    if not full or full - reached or own not in reached:
        raise CountUnknownError(f"{own} reaches no other router in OSPF")
    return frozenset(reached)


def _refuse_sums(lsas: list[dict[str, Any]], prefix: str, reached: frozenset[str]) -> None:
    """Raise CountUnknownError where endpoints of another area announce the prefix."""
    announcing = frozenset(_announcing(lsas, prefix))
    beyond = announcing - reached
    borders = {lsa.get("advRouter") for lsa in lsas if lsa.get("type") in (_SUMMARY, _BEYOND)}
    if sums := sorted(announcing & reached & borders):
        # It translates what the endpoints of an NSSA announce, and is no endpoint itself.
        raise CountUnknownError(f"{sums[0]} sums up {prefix} from another area")
    for lsa in lsas:
        kind, payload, router = text(lsa.get("type")), lsa.get("payload"), lsa.get("advRouter")
        if router not in reached:
            continue
        if kind == _SUMMARY and payload == prefix:
            raise CountUnknownError(f"{router} sums up {prefix} from another area")
        if kind == _BEYOND and payload in beyond:
            raise CountUnknownError(f"{payload} announces {prefix} from another area")


def _neighbors(document: Mapping[str, Any]) -> Iterator[Neighbor]:
    for one in listing(document.get("neighbors")):
        neighbor = mapping(one)
        yield Neighbor(
            address(neighbor.get("neighborId")),
            text(neighbor.get("state")),
            text(neighbor.get("interfaceName")),
        )
