"""What `status` says below its table: remarks, a summary of each VIP, and what to look after."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from anycast_checks.line import clean

from ..decision.facts import describe_strangers
from ..doctor.causes import by_cause, name_all
from ..doctor.finding import Finding
from ..doctor.report import LONGEST, lines
from ..fleet.values import Fleet, Vip
from ..operation import stop_file
from ..operation.overview import Sight, find_strangers

if TYPE_CHECKING:
    from ._table import Row

# With these, and what else is said, all of it is on one screen.
MOST_VIPS = 12


def print_remarks(rows: Sequence[Row], everybody: Sequence[str]) -> None:
    """Print each remark once, with the names of all that it is about.

    A dead bastion, or a rack without power, would be a line for each endpoint otherwise.

    Args:
        rows: those that are shown.
        everybody: the names of all endpoints that were asked about.
    """
    of: dict[str, list[Row]] = {}
    for row in rows:
        of.setdefault(row.endpoint.name, []).append(row)
    unseen: list[Finding] = []
    alike: dict[str, list[str]] = {}
    for name, here in of.items():
        for text, about in _remarks(here).items():
            vips = ", ".join(row.vip.name for row in about)
            where = name if len(about) == len(here) else f"{name} ({vips})"
            if not about[0].is_seen:
                unseen.append(Finding(where, text))
            else:
                alike.setdefault(text, []).append(where)
    for text, names in alike.items():
        _print(Finding(name_all(names, everybody), text))
    # In an error of the network each endpoint has its own address. A reason, which a person has
    # written, is never merged with another one.
    for finding in by_cause(unseen, everybody):
        _print(finding, "red")


def _remarks(here: Sequence[Row]) -> dict[str, list[Row]]:
    """List the remarks about one endpoint, each with those of its VIPs that it is about."""
    found: dict[str, list[Row]] = {}
    for row in here:
        for text in row.remarks:
            found.setdefault(text, []).append(row)
    return found


def _print(finding: Finding, colour: str | None = None) -> None:
    if sys.stdout.isatty():
        text, remedy = lines(finding)
        click.secho(text, fg=colour)
        if remedy:
            click.echo(remedy)
        return
    # A program searches it line by line.
    more = f"; {finding.remedy}" if finding.remedy else ""
    click.secho(clean(f"{finding.about}: {finding.text}{more}", LONGEST), fg=colour)


def summaries(
    vips: Sequence[Vip], rows: Sequence[Row], site: str | None, always: Collection[str]
) -> Iterator[str]:
    """Write a line for each VIP.

    Args:
        vips: the VIPs.
        rows: those of their endpoints.
        site: the site that alone was asked about; None where all were.
        always: the names of the VIPs that have a line however many VIPs there are.
    """
    of: dict[str, list[Row]] = {vip.name: [] for vip in vips}
    for row in rows:
        of[row.vip.name].append(row)
    told = [vip for vip in vips if vip.name in always or len(vips) <= MOST_VIPS]
    for vip in told:
        yield _summary(vip, of[vip.name], site)
    if left := len(vips) - len(told):
        more = " more" if told else ""
        which = "VIPs are as they" if left > 1 else "VIP is as it"
        yield f"{left}{more} {which} should be on each endpoint"


def _summary(vip: Vip, rows: list[Row], site: str | None = None) -> str:
    """Say how many announce, and of which sites not all do."""
    announced = sum(row.announced is True for row in rows)
    least = vip.min_announcing_per_site if site else vip.floor
    of = f"{len(rows)} in {site}" if site else f"{len(rows)}"
    text = f"{vip.name}: {announced} of {of} announce {vip.address}, floor {least}"
    unseen = sum(row.announced is None for row in rows)
    misplaced = sum(row.is_misplaced for row in rows)
    for number, what in ((unseen, "unknown"), (misplaced, "on a wrong interface")):
        text += f"; {number} {what}" if number else ""
    for name, members in vip.sites.items() if not site else ():
        of_site = sum(one.announced is True for one in rows if one.endpoint.site == name)
        if name and of_site < len(members):
            text += f"; {name} {of_site} of {len(members)}"
    return text


def strangers(fleet: Fleet, sights: Sequence[Sight], vips: Sequence[Vip]) -> Iterator[str]:
    """Name the routers that announce a VIP and are no endpoint of it."""
    for vip in vips:
        of_vip = [sight for sight in sights if sight.vip is vip]
        if said := describe_strangers(find_strangers(fleet, vip, of_vip)):
            yield clean(f"{vip.name}: {said}")


def tell_stopped(stop: str) -> None:
    """Say that the stop file exists, and who has placed it."""
    if os.path.exists(stop):
        by = stop_file.said(stop)
        text = f"{stop} exists: the automation only looks"
        click.secho(clean(f"{text} ({by})" if by else text), fg="yellow")
