"""BGP of FRR: whether this host originates the VIP, and which neighbors it is advertised to.

A host whose VIP was withdrawn learns it from its router, and advertises that learned path back. So
the path has to be its own, and the best one. A host is told of one of the others at most: BGP
cannot count.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import NoDaemonError
from . import vtysh
from .daemon import (
    Adjacency,
    Advice,
    Answer,
    Ask,
    Question,
    RoutingState,
    Unknown,
    Weakness,
    ask_one,
)
from .documents import documents, flag, listing, mapping, text

ESTABLISHED = "Established"
NOT_CONFIGURED = "BGP is not configured"
# No other question tells these lines of the configuration. A router-id of zebra is bgpd's default.
CONFIGURATION = vtysh.question(
    ["show running-config | include router-id|import-check|graceful-restart", vtysh.DAEMONS],
    ["bgp-configuration"],
    socket="bgpd",
)
_ABSENT = {"is not running": "bgpd is not running"}
_ROUTER_ID = re.compile(r"^ *(bgp |ip )?router-id \d", re.MULTILINE)
_NO_IMPORT_CHECK = re.compile(r"^ *no bgp network import-check", re.MULTILINE)
# For all neighbors, or for one of them or a group.
_GRACEFUL_RESTART = re.compile(
    r"^ *((?:bgp|neighbor \S+) graceful-restart)(?: preserve-fw-state)?$", re.MULTILINE
)


@dataclass(frozen=True)
class FrrBgp:
    """BGP of FRR, which is asked by vtysh; see RoutingDaemon."""

    protocol: str = "BGP"
    settled: str = ESTABLISHED
    relation: str = "session"
    shows_all: bool = False
    older: None = None

    def carries(self, vip: str) -> bool:
        """Carry both families; see RoutingDaemon."""
        return bool(vip)

    def advise(self, vip: str) -> Advice:
        """Say what a person has to do about trouble with bgpd; see RoutingDaemon."""
        prefix, _ = _prefix(vip)
        return Advice(
            announce=f"add `network {prefix}` to bgpd, or let `redistribute connected` permit it, "
            "and the filter of a neighbor too",
            retract="let bgpd announce what is connected: with import-check, and no static route",
            adjacency="see `vtysh -c 'show bgp neighbors'` there: address, AS number, password, "
            "filters in between",
            router_id="configure `bgp router-id` with an address of its own",
        )

    def question(self, vip: str) -> Question:
        """Give the question about a VIP; see RoutingDaemon."""
        prefix, family = _prefix(vip)
        asked = (f"show bgp {family} unicast {prefix} json", "show bgp summary json")
        return vtysh.question(asked, ("bgp", vip), daemon="bgpd", socket="bgpd")

    def read(self, vip: str, answer: Answer) -> RoutingState:
        """Read the path of the VIP and the sessions of its family; see RoutingDaemon."""
        said = vtysh.without_noise(answer.stdout)
        if answer.status != 0 or not said.lstrip().startswith("{"):
            raise vtysh.trouble(
                f"{said}\n{vtysh.without_noise(answer.stderr)}", _ABSENT
            ) or vtysh.unreadable(f"no JSON at {said[:40]!r}")
        found = documents(said)
        if len(found) != 2:
            raise vtysh.unreadable(f"{len(found)} documents")
        path, summary = found
        if "warning" in path:
            raise NoDaemonError(NOT_CONFIGURED)
        # Where no neighbor is configured there is no summary of the family.
        of_family = mapping(summary.get(f"{_prefix(vip)[1]}Unicast", {}))
        ids = (text(mapping(one).get("routerId", "")) for one in (of_family, *summary.values()))
        sessions = tuple(_sessions(mapping(of_family.get("peers", {}))))
        if not of_family and not path:
            raise NoDaemonError(f"{NOT_CONFIGURED} for {_prefix(vip)[0]}")
        up = {one.peer for one in sessions if one.is_up}
        paths = [mapping(one) for one in listing(path.get("paths", []))]
        heard = up & set(mapping(path.get("advertisedTo", {})))
        is_own = any(map(_is_own, paths))
        return RoutingState(
            self,
            next(filter(None, ids), ""),
            is_own and bool(heard),
            Unknown("BGP does not tell an endpoint who else announces it"),
            sessions,
            "BGP",
            () if is_own else tuple(_handed_on(heard - _sources(paths))),
        )

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find what keeps a VIP announced that is gone, or hands on others'; see RoutingDaemon."""
        yield from state.faults
        answer = ask_one(ask, CONFIGURATION)
        if answer.status != 0 or vtysh.is_unknown(answer.stdout):
            return
        if vtysh.stands_alone("bgpd", answer.stdout):
            yield vtysh.alone("bgpd")
        if _NO_IMPORT_CHECK.search(answer.stdout):
            yield Weakness(
                "`no bgp network import-check` announces a `network` whose address is gone",
                "remove that line from bgpd's configuration",
                hurts=False,
            )
        if found := _GRACEFUL_RESTART.search(answer.stdout):
            yield Weakness(
                f"with `{found[1]}` the routes of a dead bgpd stay for 120 s",
                "remove that line from bgpd's configuration",
                hurts=False,
            )
        remedy = self.advise(vip).router_id + (f", such as {own}" if own else "")
        if state.router_id == vip:
            yield Weakness(f"the BGP router-id is the VIP {vip}", remedy, hurts=True)
        elif not _ROUTER_ID.search(answer.stdout):
            said = f"the BGP router-id {state.router_id} is not configured, and may become the VIP"
            yield Weakness(said, remedy, hurts=False)


DAEMON = FrrBgp()


def _prefix(vip: str) -> tuple[str, str]:
    """Give the prefix of a VIP, and bgpd's name of its family."""
    address = ipaddress.ip_address(vip)
    return f"{vip}/{address.max_prefixlen}", f"ipv{address.version}"


def _is_own(path: Mapping[str, Any]) -> bool:
    """Tell whether this host has originated the path, and prefers it.

    An own path whose address is gone may still be listed, but is not the best one.
    """
    best = mapping(path.get("bestpath", {}))
    return flag(path.get("sourced", False)) and flag(best.get("overall", False))


def _sources(paths: Sequence[Mapping[str, Any]]) -> set[str]:
    """Name the neighbors from which paths were learned, as the sessions name them."""
    peers = [mapping(path.get("peer", {})) for path in paths]
    return {str(peer[key]) for peer in peers for key in ("peerId", "interface") if key in peer}


def _handed_on(to: set[str]) -> Iterator[Weakness]:
    """Find a learned path that goes on to a neighbor from which it was not learned."""
    if to:
        yield Weakness(
            f"what others announce is handed on to {' and '.join(sorted(to))}, as if by a router",
            "let the outbound route-map permit the AS path `^$` only (docs/routing.rst)",
            hurts=False,
        )


def _sessions(peers: Mapping[str, Any]) -> Iterator[Adjacency]:
    for peer, session in peers.items():
        state = text(mapping(session).get("state"))
        is_up = state == ESTABLISHED
        yield Adjacency(peer, "", state, is_up=is_up, is_settled=is_up)
