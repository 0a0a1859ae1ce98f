"""The event handler: decide on a state change, act, and print one line."""

from __future__ import annotations

from typing import Any

import click

from .command import acting_options, engine_options, engine_request, finish, place


@click.command()
@place
@engine_options
@acting_options
@click.pass_obj
def command(file: str, /, vip: str, endpoint: str, **options: Any) -> int:
    """Act on a state change of the health service (the event handler).

    CRITICAL HARD withdraws, OK restores what was withdrawn by this suite, and both only where
    the endpoint's own check agrees. Everything else opens no connection.
    """
    fleet, request = engine_request(file, "event", (vip, endpoint), options)
    from .operation.operate import operate

    return finish(operate(fleet, request))
