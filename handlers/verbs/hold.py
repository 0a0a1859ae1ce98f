"""Tell the automation to leave an endpoint as it is, until `release`."""

from __future__ import annotations

import click

from anycast_checks.line import clean
from anycast_checks.times import lasting

from ..decision.facts import Action, Decision, State
from ..endpoint import notes
from ..endpoint.site import Site
from ..errors import HandlerError
from ..operation.request import Case, Verb, signature
from . import Invocation
from ._options import Duration, note_options, note_request, read_fleet
from ._orders import Follows, give_order


def _decide(case: Case) -> Decision:
    return Decision(Action.HOLD, "by-hand", "by hand", State.OK)


HOLD = Verb("hold", _decide)
FOLLOWS = Follows(
    "held",
    "NOT HELD",
    "a monitoring host that reaches them goes on acting: hold them from there",
)


def _reason(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not clean(value):
        raise click.BadParameter("it is empty")
    return value


@click.command()
@note_options
@click.option("--reason", required=True, callback=_reason, metavar="TEXT",
              help="Reason, for whoever meets the hold.")  # fmt: skip
@click.option("--for", "seconds", type=Duration(), metavar="TIME",
              help="Expected duration of the hold, such as 30m, 2h or 1d.")  # fmt: skip
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    vip: str,
    endpoint: str | None,
    reason: str,
    seconds: int | None,
) -> int:
    """Tell the automation to leave an endpoint as it is, present or withdrawn.

    Without ENDPOINT, all endpoints of the VIP are held. A hold stays until `release`. When the time
    of --for is over, `enforce` warns, but brings nothing back.
    """
    fleet = read_fleet(invocation.file)
    request, endpoints = note_request(fleet, HOLD, vip, endpoint, reason)

    def hold(site: Site) -> str:
        look = site.look()
        by = signature(by_hand=True)
        order = notes.held(look, site.clock(), seconds, by, request.reason)
        # The endpoint places it only as long as the address is present, or absent, as the look has
        # found it, so what is said here is true.
        trouble = site.note(look, order)
        if trouble:
            raise HandlerError(f"not held: {trouble}")
        how = "present" if look.present else "withdrawn"
        if look.elsewhere:
            how = f"on {', '.join(look.interfaces)}"
        return f"held as it is, {how}{f', for {lasting(seconds)}' if seconds else ''}"

    return give_order(fleet, request, endpoints, hold, FOLLOWS)
