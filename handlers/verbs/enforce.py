"""Look at an endpoint, and do what a lost or failed event left undone."""

from __future__ import annotations

import time
from typing import Any

import click

from anycast_checks.addresses import is_same
from anycast_checks.line import clean
from anycast_checks.times import lasting

from ..decision.facts import State, StateType
from ..errors import ConfigurationError
from ..fleet.values import Fleet
from ..operation.outcome import Outcome
from ..operation.request import Request, Verb, decide_as_told
from . import Invocation
from ._options import (
    Plugin,
    acting_options,
    engine_options,
    engine_request,
    place,
    read_fleet,
    run_for_engine,
)

ENFORCE = Verb(
    "enforce", decide_as_told, by_hand=False, counts_each_time=True, ends_with_severity=True
)
LONGEST_UNCHECKED = 900.0


@click.command(cls=Plugin)
@place
@engine_options
@acting_options
@click.option(
    "--checked",
    type=float,
    metavar="TIME",
    help="Time of the engine's last check of the health service, in seconds since the epoch. The"
    " result is WARNING where that was more than 15 minutes ago. 0 means never: WARNING too, and"
    " the state counts as UNKNOWN, whatever --state says.",
)
@click.option(
    "--address",
    default="",
    metavar="ADDRESS",
    help="The anycast address of the health service. The result is UNKNOWN where the fleet file"
    " has another one.",
)
@click.option(
    "--management",
    default="",
    metavar="ADDRESS",
    help="The address of the endpoint in the engine. The result is UNKNOWN where the fleet file"
    " has it for another endpoint.",
)
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    vip: str,
    endpoint: str,
    *,
    checked: float | None,
    address: str,
    management: str,
    **options: Any,
) -> int:
    """Look at an endpoint, and do what a lost or failed event left undone.

    The engine runs this as an active check, whatever the state is.

    OK: the endpoint is as it should be. WARNING: it is withdrawn, and the output says what is
    awaited. CRITICAL: it is broken and still announced. UNKNOWN: it could not be looked at.
    """
    if checked is not None and not checked > 0:
        # Nagios reports a service that was never checked as OK HARD.
        options |= {"state": State.UNKNOWN.name, "state_type": StateType.SOFT.name}
    fleet = read_fleet(invocation.file)
    request = engine_request(fleet, ENFORCE, (vip, endpoint), options)
    _refuse_mix_up(fleet, request, address, management)
    outcome = run_for_engine(fleet, request._replace(unwatched=_unwatched(checked)))
    click.echo(printed(outcome))
    return outcome.exit_code


def printed(outcome: Outcome) -> str:
    """Write an outcome as the output of a plugin."""
    present = "U" if outcome.present is None else int(outcome.present)
    status = f"ANYCAST {outcome.severity.name} - {outcome.text}"
    first = f"{clean(status)} | present={present};;;0;1"
    return "\n".join((first, *map(clean, outcome.notes)))


def _refuse_mix_up(fleet: Fleet, request: Request, address: str, management: str) -> None:
    """Refuse the state of a health service that asks another address or another endpoint."""
    vip, endpoint = request.vip, request.endpoint
    if address and not is_same(address, vip.address):
        raise ConfigurationError(
            f"{fleet.file}: vip.{vip.name}.address is {vip.address}, but the health service asks"
            f" {address}: correct one of them"
        )
    others = (one for one in vip.endpoints if one is not endpoint)
    other = next((one for one in others if is_same(management, one.address)), endpoint)
    if not is_same(management, endpoint.address) and other is not endpoint:
        raise ConfigurationError(
            f"{fleet.file}: {endpoint.name} is {endpoint.address}, but the engine gets to"
            f" {management}, which is {other.name}: correct one of them"
        )


def _unwatched(checked: float | None) -> str:
    if checked is None:
        return ""
    if not checked > 0:
        return "the health service was never checked"
    ago = time.time() - checked
    if ago <= LONGEST_UNCHECKED:
        return ""
    return f"the health service was last checked {lasting(ago)} ago: is it switched off?"
