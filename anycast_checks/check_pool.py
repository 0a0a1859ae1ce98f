"""Count the routers that announce the anycast address, as the routing of this host knows them."""

import ipaddress

import click

from .command import check_command, literal
from .errors import CountUnknownError
from .observation import Metric
from .options import Options
from .routing.daemon import Unknown
from .run import CheckRun
from .this_router import ThisRouter
from .threshold import threshold
from .verdict import CRITICAL, OK, WARNING, Verdict, is_outside, performance

_LABELS = ("time", "announced", "routers")
_EXAMPLES = """\
check_anycast pool -H 192.0.2.53 -w 3: -c 2:
check_anycast pool -H 192.0.2.53 --expect-router 192.0.2.1
"""


@check_command(Options, _EXAMPLES, perfdata=" ".join(f"{label}=U" for label in _LABELS))
@click.option(
    "-w",
    "--warning",
    type=threshold,
    metavar="RANGE",
    help="WARNING where the number of routers that announce the address is outside of this range.",
)
@click.option(
    "-c",
    "--critical",
    type=threshold,
    default="1:",
    metavar="RANGE",
    show_default=True,
    help="CRITICAL where the number of routers that announce the address is outside of this range.",
)
@click.option(
    "--expect-router",
    "expected",
    type=literal,
    multiple=True,
    metavar="ID",
    help="The router-id of a router that should announce the address, else WARNING; repeatable.",
)
def command(
    options: Options,
    run: CheckRun,
    *,
    warning: str | None,
    critical: str,
    expected: tuple[str, ...],
) -> Verdict:
    """Count the routers that announce the anycast address, and that can be reached.

    The check asks the routing daemon of this host: OSPF of FRR, Quagga or BIRD, which knows every
    router of its area. The host can be any router or endpoint of the area. The event handler counts
    in the same way for its floor. BGP tells an endpoint of one other announcer at most, so there it
    is UNKNOWN: watch `route` on each endpoint. A user that may not ask the daemon needs the lines
    in sudoers that `anycast-handler gate` prints.
    """  # fmt: skip
    here = ThisRouter(options, run)
    seen = here.see()
    if isinstance(seen.announcers, Unknown):
        raise CountUnknownError(seen.announcers.why)
    routers = sorted(seen.announcers, key=ipaddress.ip_address)
    asked = seen.router_id
    missing = [one for one in expected if one not in routers]
    number = len(routers)
    text = f"{options.address} is announced by {number} router{'' if number == 1 else 's'}"
    state = OK
    if is_outside(critical, number):
        state, text = CRITICAL, f"{text}, not in {critical}"
    elif is_outside(warning, number):
        state, text = WARNING, f"{text}, not in {warning}"
    elif missing:
        state = WARNING
    if missing:
        text += f", and not by {', '.join(missing)}"
    figures = (
        Metric("time", here.seconds, "s", minimum=0),
        Metric("announced", int(asked in routers)),
        Metric("routers", number, "", warning, critical, 0),
    )
    details = [f"{one}{' (asked)' if one == asked else ''}" for one in routers]
    return Verdict(
        state, text, " ".join(map(performance, figures)), details=(*details, *here.transcript)
    )
