"""The event handler's operation as an active check: it looks each time, and repairs."""

from __future__ import annotations

import time
from typing import Any

import click

from anycast_checks.line import clean

from .command import acting_options, engine_options, engine_request, place
from .decision import State, StateType
from .operation import operate
from .outcome import age

LONGEST_UNCHECKED = 900.0


@click.command()
@place
@engine_options
@acting_options
@click.option(
    "--checked",
    type=float,
    metavar="TIME",
    help="When the engine last checked the health service, in seconds since the epoch; 0 for"
    " never, which is UNKNOWN SOFT whatever --state says. WARNING where that is never, or more"
    " than 15 minutes ago.",
)
@click.pass_obj
def command(file: str, /, vip: str, endpoint: str, checked: float | None, **options: Any) -> int:
    """Look, and put right what a lost or failed event left (an active check).

    OK: as it should be. WARNING: withdrawn, and what is awaited. CRITICAL: broken and still
    announced. UNKNOWN: could not look.
    """  # fmt: skip
    if checked is not None and not checked > 0:
        # To Nagios, what was never checked is OK HARD.
        options |= {"state": State.UNKNOWN.name, "state_type": StateType.SOFT.name}
    fleet, request = engine_request(file, "enforce", (vip, endpoint), options)
    outcome = operate(fleet, request._replace(unwatched=_unwatched(checked)))
    announced = "U" if outcome.announced is None else int(outcome.announced)
    status = f"ANYCAST {outcome.severity.name} - {outcome.text}"
    click.echo(f"{clean(status)} | announced={announced};;;0;1")
    for note in outcome.notes:
        click.echo(clean(note))
    return outcome.exit_code


def _unwatched(checked: float | None) -> str:
    if checked is None:
        return ""
    if not checked > 0:
        return "the health service was never checked"
    ago = time.time() - checked
    if ago <= LONGEST_UNCHECKED:
        return ""
    return f"the health service was last checked {age(ago)} ago: is it switched off?"
