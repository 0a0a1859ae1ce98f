"""Compare the addresses of this endpoint with what its routing daemons announce."""

import time
from typing import Any

import click

from . import addresses
from .addresses import Addresses
from .command import check_command
from .errors import CheckError
from .observation import Metric
from .options import Options
from .routing.daemon import Adjacency, RoutingState
from .run import CheckRun
from .this_router import ThisRouter
from .verdict import CRITICAL, OK, WARNING, Verdict, performance

_LABELS = ("time", "present", "announced", "neighbors", "silent")
_SETTLED = 2.0  # seconds within which a routing daemon notices a change of an interface
_AGAIN = 0.25
_EXAMPLES = """\
check_anycast route -H 192.0.2.53
check_anycast route -H 192.0.2.53 --min-neighbors 2
"""

Problem = tuple[Any, str]  # a state of `verdict`, and what is wrong


@check_command(Options, _EXAMPLES, perfdata=" ".join(f"{label}=U" for label in _LABELS))
@click.option(
    "--min-neighbors",
    type=click.IntRange(0, 1000),
    default=1,
    metavar="N",
    show_default=True,
    help="CRITICAL where fewer neighbors exchange routes with this endpoint.",
)
def command(options: Options, run: CheckRun, *, min_neighbors: int) -> Verdict:
    """See that this endpoint announces the address exactly when it carries the address.

    The check asks the routing daemons of this host about OSPF and BGP: FRR, Quagga and BIRD. It
    also sees that the neighbors are Full (OSPF) or Established (BGP), and that no fault of the
    configuration keeps a withdrawn address announced. A user that may not ask the daemons needs the
    lines in sudoers that `anycast-handler gate` prints.
    """  # fmt: skip
    vip = options.address
    here = ThisRouter(options, run)
    shown, seen = _settled(vip, here)
    places = shown.interfaces_with(vip)
    protocol = seen.protocols
    up = sum(one.is_up for one in _neighbors(seen))
    problems = [
        *_of_the_address(vip, shown, seen, up),
        *_of_the_configuration(vip, seen, here),
        *_of_the_neighbors(seen, up, min_neighbors),
    ]
    state = max((one for one, _ in problems), key=int, default=OK)
    place = f"withdrawn: neither on an interface nor in {protocol}"
    if seen.announced:
        place = f"announced: on {' and '.join(places)} and in {protocol}"
    settled = f"{up} neighbor{'s' * (up != 1)} {seen.daemon.settled}"
    well = f"{vip} {place}, router-id {seen.router_id}, {settled}"
    worst = next((text for one, text in problems if one == state), well)
    figures = (
        Metric("time", here.seconds, "s", minimum=0),
        Metric("present", int(bool(places))),
        Metric("announced", int(seen.announced)),
        Metric("neighbors", up, "", None, f"{min_neighbors}:", 0),
        Metric("silent", sum(one.is_silent for one in _neighbors(seen)), minimum=0),
    )
    details = [f"router-id {seen.router_id}"]
    details += [f"neighbor {one}: {one.state}" for one in _neighbors(seen)]
    others = [text for _, text in problems if text != worst]
    return Verdict(
        state,
        worst,
        " ".join(map(performance, figures)),
        details=(*others, *(details if options.verbose else ()), *here.transcript),
    )


def _settled(vip: str, here: ThisRouter) -> tuple[Addresses, RoutingState]:
    """Look at the addresses and at the routing, until both agree or have had the time to agree."""
    end = time.monotonic() + _SETTLED
    while True:
        shown, seen = _addresses(here), here.see()
        is_present = bool(shown.interfaces_with(vip))
        if seen.announced == is_present or time.monotonic() > end:
            return shown, seen
        time.sleep(_AGAIN)


def _addresses(here: ThisRouter) -> Addresses:
    status, said, why = here.run(addresses.ARGV)
    try:
        return addresses.read(said if status == 0 else "")
    except ValueError as error:
        raise CheckError(f"cannot see the addresses of this host: {why or said}") from error


def _of_the_address(vip: str, shown: Addresses, seen: RoutingState, up: int) -> list[Problem]:
    protocol, places = seen.protocols, shown.interfaces_with(vip)
    where = " and ".join(places)
    if places and not seen.announced:
        nobody = "" if up else f", where no neighbor is {seen.daemon.settled}"
        return [(CRITICAL, f"{vip} on {where}, but not announced in {protocol}{nobody}")]
    if seen.announced and not places:
        return [(CRITICAL, f"{vip} withdrawn, but still in {protocol}")]
    if len(places) > 1:
        return [(WARNING, f"{vip} is on {where}, and a withdrawal takes it off one of them alone")]
    return [
        (WARNING, f"{vip} is {one.unready} on {one.interface}, where this host does not answer")
        for one in shown.unready(vip)
        if not places
    ]


def _of_the_configuration(vip: str, seen: RoutingState, here: ThisRouter) -> list[Problem]:
    return [
        (CRITICAL if weakness.hurts else WARNING, f"{weakness.text}: {weakness.remedy}")
        for one in seen.carriers
        for weakness in one.daemon.weaknesses(vip, one, here.ask, own="")
    ]


def _of_the_neighbors(seen: RoutingState, up: int, least: int) -> list[Problem]:
    problems: list[Problem] = []
    protocol, settled = seen.protocols, seen.daemon.settled
    if up < least:
        problems.append((CRITICAL, f"{up} {protocol} neighbors are {settled}, {least} have to be"))
    for state in seen.carriers:
        relation, settled = state.daemon.relation, state.daemon.settled
        if silent := [one for one in state.adjacencies if one.is_silent]:
            count = f"{len(silent)} of {len(state.adjacencies)} {state.daemon.protocol} neighbors"
            names = ", ".join(map(str, silent))
            verb = "is" if len(silent) == 1 else "are"
            problems.append((WARNING, f"{count} {verb} silent: {names}"))
        for one in state.adjacencies:
            if not one.is_settled and not one.is_silent:
                text = f"the {relation} with {one} is {one.state}, not {settled}"
                problems.append((WARNING, text))
    return problems


def _neighbors(seen: RoutingState) -> list[Adjacency]:
    return [one for state in seen.carriers for one in state.adjacencies]
