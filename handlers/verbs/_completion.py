"""The names of the fleet file, where a shell completes them."""

from __future__ import annotations

import click

from ..activators import names
from ..errors import HandlerError
from ..fleet.file import load
from ..fleet.values import Fleet


def vip_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """List the VIPs whose names begin so."""
    fleet = _fleet(context)
    return [vip.name for vip in fleet.vips if vip.name.startswith(begun)] if fleet else []


def endpoint_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """List the endpoints of the VIP on the command line whose names begin so."""
    fleet, named = _fleet(context), context.params.get("vip")
    vips = [vip for vip in fleet.vips if vip.name == named] if fleet else []
    return [one.name for vip in vips for one in vip.endpoints if one.name.startswith(begun)]


def _fleet(context: click.Context) -> Fleet | None:
    try:
        return load(str(context.find_root().params["file"]), names())
    except HandlerError:  # a shell has no place for it, and the verb will say it
        return None
