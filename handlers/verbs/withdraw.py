"""Take an endpoint out of the routing, by hand."""

from __future__ import annotations

from typing import Any

import click

from ..decision.facts import Decision
from ..decision.person import decide_withdraw
from ..operation.request import Case, Verb
from . import Invocation
from ._options import (
    acting_options,
    finish,
    force_option,
    hand_request,
    place,
    read_fleet,
    run,
)
from ._progress import following


def _decide(case: Case) -> Decision:
    assert case.seen is not None
    return decide_withdraw(case.policy, case.seen, case.counted, force=case.request.force)


WITHDRAW = Verb("withdraw", _decide, places_hold=True)


@click.command()
@place
@acting_options
@force_option
@click.pass_obj
def command(invocation: Invocation, /, vip: str, endpoint: str, **options: Any) -> int:
    """Take an endpoint out of the routing, by hand.

    The endpoint is held, so that it stays out until a person restores it.
    """
    fleet = read_fleet(invocation.file)
    request = hand_request(fleet, WITHDRAW, (vip, endpoint), options)
    with following(f"withdraw {endpoint}") as follow:
        outcome = run(fleet, request, follow)
    return finish(outcome)
