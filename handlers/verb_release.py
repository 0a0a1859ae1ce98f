"""The end of a hold."""

from __future__ import annotations

import click

from .command import note_options, note_request
from .endpoint.latch import UNREADABLE_HOLD
from .endpoint.notes import Notebook
from .endpoint.site import Site
from .errors import HandlerError
from .operation.on_each import on_each


@click.command()
@note_options
@click.option("--reason", default="", metavar="TEXT", help="For the log.")
@click.pass_obj
def command(file: str, /, vip: str, endpoint: str | None, reason: str) -> int:
    """Give an endpoint back to the automation.

    Without ENDPOINT: every endpoint of the VIP.
    """
    fleet, request, endpoints = note_request(file, "release", vip, endpoint, reason)

    def remove(site: Site) -> str:
        look = site.look()
        hold = look.hold
        if not look.may_be_held:
            return "was not held"
        trouble = Notebook(site, request).remove_hold()
        if trouble:
            raise HandlerError(f"{'still held' if hold else 'perhaps held'}: {trouble}")
        ours = not look.announced and look.latch_age is not None
        follows = ", and is restored once it is well" if ours else ""
        by = f"it was held by {hold.by}" if hold else "if it was held"
        if look.trouble and hold in (None, UNREADABLE_HOLD):
            by = f"if it was held: {look.trouble}"
        return f"released{follows}; {by}"

    return on_each(fleet, request, endpoints, remove)
