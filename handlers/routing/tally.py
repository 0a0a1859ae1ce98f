"""Tell the endpoints among the announcers of a VIP from the routers that are no endpoints."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from anycast_checks.routing.daemon import RoutingState, Unknown

from ..fleet.values import Endpoint, Vip


class Tally(NamedTuple):
    """How many of some endpoints announce a VIP.

    Attributes:
        number: how many of the endpoints announce for certain.
        strangers: router-ids of the announcers that are no endpoint; empty as long as the router-id
            of an endpoint is not known.
        left_out: how many of those who leave would be counted otherwise.
        unsure: how many more of the endpoints may announce: those whose router-id is not known.
    """

    number: int
    strangers: tuple[str, ...] = ()
    left_out: int = 0
    unsure: int = 0


def tally(
    announcers: frozenset[str], router_ids: Iterable[str | None], *leaving: str | None
) -> Tally:
    """Count the endpoints among the announcers.

    An announcer with an unknown router-id may be an endpoint whose router-id is not known yet, and
    may be no endpoint at all. So it counts for nobody, and makes the number uncertain.

    Args:
        announcers: router-ids of those who announce the VIP.
        router_ids: the router-id of each endpoint that may be among them; None where it is unknown.
        leaving: router-ids of those endpoints that may be withdrawn at this moment, and so do not
            count; None where it is unknown.
    """
    listed = list(router_ids)
    unlearnt = listed.count(None)
    known = announcers & set(listed)
    beside = announcers - known
    unknown = min(len(beside), unlearnt)
    # One that has gone already is not among the announcers, and is not taken off once more.
    gone, may_be_gone = len(known & set(leaving)), min(unknown, leaving.count(None))
    strangers = () if unlearnt else tuple(sorted(beside))
    return Tally(len(known) - gone, strangers, gone + may_be_gone, unknown - may_be_gone)


def find_strangers(
    vip: Vip, seen: Mapping[str, RoutingState], known: Mapping[str, str]
) -> tuple[str, ...]:
    """List the announcers that a VIP should not have, where several endpoints were asked.

    Args:
        vip: the VIP.
        seen: the state of the routing on each endpoint that was asked, by its name.
        known: router-ids of the endpoints from earlier runs, by their names.

    Returns:
        Router-ids; none as long as the router-id of an endpoint is not known.
    """
    router_ids = dict(known) | {name: state.router_id for name, state in seen.items()}
    shown = [s.announcers for s in seen.values() if not isinstance(s.announcers, Unknown)]
    announcers = without_expected(vip, frozenset[str]().union(*shown), router_ids.values())
    return tally(announcers, (router_ids.get(e.name) for e in vip.endpoints)).strangers


def without_expected(
    vip: Vip, announcers: frozenset[str], known: Collection[str]
) -> frozenset[str]:
    """Leave out the announcers that the fleet file expects beside the endpoints of a VIP.

    Args:
        vip: the VIP.
        announcers: router-ids of those who announce it.
        known: the router-ids of endpoints, which are never left out.
    """
    networks = [ipaddress.IPv4Network(one) for one in vip.also_announced_by]

    def is_expected(router_id: str) -> bool:
        # It is written as an IPv4 address, also in the OSPF of IPv6. A daemon may say anything.
        with suppress(ValueError):
            return any(ipaddress.IPv4Address(router_id) in one for one in networks)
        return False

    return frozenset(one for one in announcers if one in known or not is_expected(one))


class RouterIds(Protocol):
    """Remembers the router-id that each endpoint of a VIP said last."""

    def known(self, vip: Vip) -> dict[str, str]:
        """Give the known router-ids, by the names of the endpoints."""

    def learn(self, vip: Vip, endpoint: Endpoint, router_id: str) -> str:
        """Remember a router-id; returns what went wrong, empty where nothing did."""

    def learn_all(self, vip: Vip, said: Mapping[str, str]) -> str:
        """Remember router-ids, by the names of their endpoints; returns as `learn` does."""
