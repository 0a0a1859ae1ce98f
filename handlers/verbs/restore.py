"""Bring an endpoint back into the routing, by hand."""

from __future__ import annotations

from typing import Any

import click

from ..decision.facts import Decision
from ..decision.person import decide_restore
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
    return decide_restore(case.seen, case.confirmed, force=case.request.force)


RESTORE = Verb("restore", _decide, removes_hold=True)


@click.command()
@place
@acting_options
@force_option
@click.pass_obj
def command(invocation: Invocation, /, vip: str, endpoint: str, **options: Any) -> int:
    """Bring an endpoint back into the routing, by hand.

    The endpoint's own check has to say OK first, unless --force is given. A hold is released.
    """
    fleet = read_fleet(invocation.file)
    request = hand_request(fleet, RESTORE, (vip, endpoint), options)
    with following(f"restore {endpoint}") as follow:
        outcome = run(fleet, request, follow)
    return finish(outcome)
