"""The event handler's operation as an active check: it looks each time, and repairs."""

from __future__ import annotations

from typing import Any

import click

from anycast_checks.line import clean

from .command import acting_options, engine_options, engine_request, place
from .operation import operate


@click.command()
@place
@engine_options
@acting_options
@click.pass_obj
def command(file: str, /, vip: str, endpoint: str, **options: Any) -> int:
    """Look, and put right what a lost or failed event left (an active check).

    OK: as it should be. WARNING: withdrawn, and what is awaited. CRITICAL: broken and still
    announced. UNKNOWN: could not look.
    """
    fleet, request = engine_request(file, "enforce", (vip, endpoint), options)
    outcome = operate(fleet, request)
    announced = "U" if outcome.announced is None else int(outcome.announced)
    status = f"ANYCAST {outcome.severity.name} - {outcome.text}"
    click.echo(f"{clean(status)} | announced={announced};;;0;1")
    for note in outcome.notes:
        click.echo(clean(note))
    return outcome.exit_code
