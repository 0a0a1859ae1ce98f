"""Bring an endpoint back into the routing by hand."""

from __future__ import annotations

from typing import Any

import click

from .command import acting_options, finish, force_option, hand_request, place
from .operation.operate import operate


@click.command()
@place
@acting_options
@force_option
@click.pass_obj
def command(file: str, /, vip: str, endpoint: str, **options: Any) -> int:
    """Bring an endpoint back into the routing, by hand.

    Only if its own check says OK; --force overrides that.
    """
    fleet, request = hand_request(file, "restore", (vip, endpoint), options)
    return finish(operate(fleet, request))
