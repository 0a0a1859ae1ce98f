"""Act on a state change of the health service (the event handler)."""

from __future__ import annotations

from typing import Any

import click

from ..operation.request import Verb, decide_as_told
from . import Invocation
from ._options import (
    acting_options,
    engine_options,
    engine_request,
    finish,
    place,
    read_fleet,
    run_for_engine,
)

EVENT = Verb("event", decide_as_told, by_hand=False, decides_unseen=True)


@click.command()
@place
@engine_options
@acting_options
@click.pass_obj
def command(invocation: Invocation, /, vip: str, endpoint: str, **options: Any) -> int:
    """Act on a state change of the health service (the event handler).

    CRITICAL HARD withdraws the endpoint, and OK restores it if this suite withdrew it; both only if
    the endpoint's own check agrees. Any other state opens no connection.
    """
    fleet = read_fleet(invocation.file)
    request = engine_request(fleet, EVENT, (vip, endpoint), options)
    return finish(run_for_engine(fleet, request))
