"""End a hold, which gives the endpoint back to the automation."""

from __future__ import annotations

import click

from ..decision.facts import Action, Decision, State
from ..endpoint import notes
from ..endpoint.latch import UNREADABLE_HOLD
from ..endpoint.look import Look
from ..endpoint.site import Site
from ..errors import HandlerError
from ..operation.request import Case, Verb
from . import Invocation
from ._options import note_options, note_request, read_fleet
from ._orders import Follows, give_order


def _decide(case: Case) -> Decision:
    return Decision(Action.RELEASE, "by-hand", "by hand", State.OK)


RELEASE = Verb("release", _decide)
FOLLOWS = Follows(
    "no hold any more",
    "NOT RELEASED",
    "a hold there stays until it is released from a host that reaches them",
)


def _what_follows(look: Look) -> str:
    if look.latch_age is None or look.vip.restore == "manual":
        return ", and stays withdrawn until `restore`"
    return ", and is restored once it is well"


@click.command()
@note_options
@click.option("--reason", default="", metavar="TEXT", help="Reason, for the log of decisions.")
@click.pass_obj
def command(invocation: Invocation, /, vip: str, endpoint: str | None, reason: str) -> int:
    """End a hold, which gives the endpoint back to the automation.

    Without ENDPOINT, all endpoints of the VIP are released.
    """
    fleet = read_fleet(invocation.file)
    request, endpoints = note_request(fleet, RELEASE, vip, endpoint, reason)

    def remove(site: Site) -> str:
        look = site.look()
        hold = look.hold
        if not look.may_be_held:
            return "was not held"
        trouble = site.note(look, notes.NO_HOLD)
        if trouble:
            raise HandlerError(f"{'still held' if hold else 'perhaps held'}: {trouble}")
        follows = "" if look.present else _what_follows(look)
        by = f"it was held by {hold.by}" if hold else "if it was held"
        if look.trouble and hold in (None, UNREADABLE_HOLD):
            by = f"if it was held: {look.trouble}"
        return f"released{follows}; {by}"

    return give_order(fleet, request, endpoints, remove, FOLLOWS)
