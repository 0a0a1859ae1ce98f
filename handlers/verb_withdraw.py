"""Take an endpoint out of the routing by hand."""

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
    """Take an endpoint out of the routing, by hand.

    It stays out until a person restores it.
    """
    fleet, request = hand_request(file, "withdraw", (vip, endpoint), options)
    return finish(operate(fleet, request))
