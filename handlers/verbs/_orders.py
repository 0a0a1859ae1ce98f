"""A person's order (`hold` or `release`), carried out on each endpoint that it is for."""

from __future__ import annotations

import click

from anycast_checks.line import clean

from ..fleet.values import Endpoint, Fleet
from ..operation.on_each import Do, on_each
from ..operation.operate import this_host
from ..operation.request import Request
from ._options import LINE


def give_order(fleet: Fleet, request: Request, endpoints: tuple[Endpoint, ...], do: Do) -> int:
    """Carry out an order on each endpoint, print a line each, and give the highest exit code."""
    outcomes = on_each(fleet, request, endpoints, do, this_host(fleet))
    for outcome in outcomes:
        click.echo(clean(outcome.line, LINE))
    return max(outcome.exit for outcome in outcomes)
