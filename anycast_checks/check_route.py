"""Compare this endpoint's loopback with what it announces in OSPF."""

import json
import time
from typing import Any

import click

from . import ospf
from .command import check_command
from .errors import CheckError
from .observation import Metric
from .options import Options
from .ospf import View
from .ospf_here import ThisRouter
from .verdict import CRITICAL, OK, WARNING, Verdict, performance

_LABELS = ("time", "announced", "in_ospf", "neighbors")
_ADDRESSES = ("/sbin/ip", "-json", "address", "show")
_SETTLED = 2.0  # seconds in which ospfd has seen a change of lo
_AGAIN = 0.25
_EXAMPLES = """\
check_anycast route -H 192.0.2.53
check_anycast route -H 192.0.2.53 --min-neighbors 2
"""

Problem = tuple[Any, str]  # one of verdict's states, and what is wrong


@check_command(Options, _EXAMPLES, perfdata=" ".join(f"{label}=U" for label in _LABELS))
@click.option(
    "--min-neighbors",
    type=click.IntRange(0, 1000),
    default=1,
    metavar="N",
    show_default=True,
    help="CRITICAL where fewer OSPF neighbors are Full.",
)
def command(options: Options, *, min_neighbors: int) -> Verdict:
    """See that this endpoint announces the address in OSPF exactly when it is on its loopback.

    And that its OSPF neighbors are Full, and its router-id is configured and not the anycast
    address. Asks the routing daemon by vtysh: the user must be in the group frrvty (Quagga:
    quaggavty).
    """  # fmt: skip
    vip = options.address
    here = ThisRouter(options)
    places, view = _settled(vip, here)
    announces = ospf.announces(view, vip)
    full = sum(neighbor.state == ospf.FULL for neighbor in view.neighbors)
    problems = [
        *_of_the_address(vip, places, announces=announces),
        *_of_the_router_id(view, vip, here),
        *_of_the_neighbors(view, full, min_neighbors),
    ]
    state = max((one for one, _ in problems), key=int, default=OK)
    place = "announced: on lo and in OSPF" if announces else "withdrawn: neither on lo nor in OSPF"
    well = f"{vip} {place}, router-id {view.router_id}, {full} neighbor{'s' * (full != 1)} Full"
    worst = next((text for one, text in problems if one == state), well)
    figures = (
        Metric("time", here.seconds, "s", minimum=0),
        Metric("announced", int("lo" in places)),
        Metric("in_ospf", int(announces)),
        Metric("neighbors", full, "", None, f"{min_neighbors}:", 0),
    )
    details = [f"router-id {view.router_id}"]
    details += [
        f"neighbor {one.router_id} on {one.interface}: {one.state}" for one in view.neighbors
    ]
    others = [text for _, text in problems if text != worst]
    return Verdict(
        state,
        worst,
        " ".join(map(performance, figures)),
        details=(*others, *(details if options.verbose else ()), *here.transcript),
    )


def _settled(vip: str, here: ThisRouter) -> tuple[tuple[str, ...], View]:
    """Look at lo and at OSPF until they agree, or until they should."""
    end = time.monotonic() + _SETTLED
    while True:
        places, view = _interfaces(vip, here), here.look()
        if ospf.announces(view, vip) == ("lo" in places) or time.monotonic() > end:
            return places, view
        time.sleep(_AGAIN)


def _interfaces(vip: str, here: ThisRouter) -> tuple[str, ...]:
    """List the interfaces that carry the address."""
    status, said, why = here.run(_ADDRESSES)
    try:
        links: Any = json.loads(said) if status == 0 else None
        return tuple(
            link["ifname"]
            for link in links
            for one in link.get("addr_info", ())
            if one.get("local") == vip
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckError(f"cannot see the addresses of this host: {why or said}") from error


def _of_the_address(vip: str, places: tuple[str, ...], *, announces: bool) -> list[Problem]:
    if elsewhere := [place for place in places if place != "lo"]:
        return [(CRITICAL, f"{vip} is on {' and '.join(elsewhere)}, where nothing withdraws it")]
    if places and not announces:
        return [(CRITICAL, f"{vip} on lo, but not announced in OSPF")]
    if announces and not places:
        return [(CRITICAL, f"{vip} withdrawn from lo, but still in OSPF")]
    return []


def _of_the_router_id(view: View, vip: str, here: ThisRouter) -> list[Problem]:
    if view.router_id == vip:
        return [(CRITICAL, f"{vip} is the OSPF router-id: configure `ospf router-id`")]
    if ospf.router_id_is_explicit(here.run) is False:
        return [
            (WARNING, f"{vip} may become the OSPF router-id: {view.router_id} is not configured")
        ]
    return []


def _of_the_neighbors(view: View, full: int, least: int) -> list[Problem]:
    problems: list[Problem] = []
    if full < least:
        problems.append((CRITICAL, f"{full} OSPF neighbors are Full, {least} have to be"))
    for one in ospf.unsettled(view):
        text = f"the adjacency with {one.router_id} on {one.interface} is {one.state}, not Full"
        problems.append((WARNING, text))
    return problems
