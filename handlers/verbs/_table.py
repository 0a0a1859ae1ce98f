"""The table of `status`: a row for each VIP on each endpoint, and what is said below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from anycast_checks.line import clean

from ..fleet.values import Endpoint, Vip
from ._summary import print_remarks, summaries

# Longest text in a column: the names of a few interfaces, and every name of the fleet file.
CELL = 80
# With more rows than these it would not fit on a screen of 24 lines.
MOST_ROWS = 16
WHERE = ("vip", "endpoint")


@dataclass(frozen=True)
class Row:
    """One VIP on one endpoint, as it is shown.

    Attributes:
        vip: the VIP.
        endpoint: the endpoint.
        cells: the columns behind its names.
        remarks: what is said of it below the table.
        is_well: whether all is known to be as it should be.
        colour: the colour of the row.
        document: what a program is given instead.
        announced: whether the endpoint counts as one that announces the VIP; None where that is
            unknown. Without a routing daemon it counts where the VIP is present.
        is_misplaced: whether the VIP is on an interface of which nothing withdraws it.
        is_seen: whether anything is known of the endpoint now.
        trouble: what could not be found out; empty where all could.
    """

    vip: Vip
    endpoint: Endpoint
    cells: tuple[str, ...]
    remarks: tuple[str, ...]
    is_well: bool
    colour: str | None
    document: dict[str, Any]
    announced: bool | None = None
    is_misplaced: bool = False
    is_seen: bool = True
    trouble: str = ""


def said_hold(by: str, reason: str, *, has_expired: bool) -> str:
    """Say for a line below the table who holds an endpoint, or has."""
    return f"a hold by {by} has expired: {reason}" if has_expired else f"held by {by}: {reason}"


def print_table(
    rows: Sequence[Row],
    columns: tuple[str, ...],
    vips: Sequence[Vip],
    site: str | None = None,
    *,
    every: bool = False,
) -> None:
    """Print what is not as it should be, the rest or how many these are, and the summaries.

    Args:
        rows: those of all endpoints that were asked about.
        columns: the names of the columns behind those of VIP and endpoint.
        vips: the VIPs that were asked about.
        site: the site that alone was asked about; None where all were.
        every: whether what is well is shown, however much that is.
    """
    wrong = [one for one in rows if not one.is_well]
    well = [one for one in rows if one.is_well]
    in_short = len(rows) > MOST_ROWS and not every
    shown = wrong if in_short else [*wrong, *well]
    if shown:
        _print_rows(shown, columns)
        print_remarks(shown, list(dict.fromkeys(one.endpoint.name for one in rows)))
    if in_short and well:
        more = " more" if wrong else ""
        click.secho(f"{len(well)}{more} are as they should be; --all shows them", fg="green")
    for line in summaries(vips, rows, site, {one.vip.name for one in shown}):
        click.echo(line)


def _print_rows(rows: Sequence[Row], columns: tuple[str, ...]) -> None:
    lines = [(row.vip.name, row.endpoint.name, *row.cells) for row in rows]
    names = (*WHERE, *columns)
    if any(row.endpoint.site for row in rows):
        names = (*WHERE, "site", *columns)
        lines = [
            (*line[:2], row.endpoint.site or "-", *line[2:])
            for line, row in zip(lines, rows, strict=True)
        ]
    # An endpoint may put any character into its answers, such as the name of an interface.
    shown = (tuple(clean(cell, CELL) for cell in line) for line in lines)
    table = [tuple(name.upper() for name in names), *shown]
    widths = [max(len(line[i]) for line in table) for i in range(len(names))]
    for line, row in zip(table, [None, *rows], strict=True):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.secho(text.rstrip(), fg=row.colour if row else None, bold=row is None)
