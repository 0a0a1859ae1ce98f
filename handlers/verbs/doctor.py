"""Find by day what would go wrong at night, and say what to do."""

from __future__ import annotations

from dataclasses import replace

import click

from anycast_checks.routing import DAEMONS

from ..doctor.causes import by_cause
from ..doctor.finding import Finding
from ..doctor.here import examine_here
from ..doctor.monitors import examine_monitors
from ..doctor.report import lines, summary
from ..doctor.survey import survey
from ..errors import DONE, REFUSED, TRIED_AND_FAILED
from ..transport.clock import SYSTEM_CLOCK
from ..watch.engines.examine import examine_engines
from . import Invocation
from ._completion import endpoint_names, vip_names
from ._options import Looking, read_fleet
from ._progress import counting, following


@click.command(cls=Looking)
@click.argument("vip", metavar="[VIP]", required=False, shell_complete=vip_names)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=endpoint_names)
@click.pass_obj
def command(invocation: Invocation, /, vip: str | None, endpoint: str | None) -> int:
    """Find by day what would go wrong at night, and say what to do.

    Nothing is changed. With ENDPOINT it also says by which activator the VIP is withdrawn there,
    and why. Exit code 1 means that something was found (a hint does not count), 2 that an endpoint
    could not be asked.
    """
    fleet = read_fleet(invocation.file)
    vips = (fleet.vip(vip),) if vip else fleet.vips
    members = [(v, e) for v in vips for e in v.endpoints]
    if vip and endpoint:
        members = [fleet.find(vip, endpoint)]
    narrowed = fleet._replace(vips=vips)
    with following("doctor") as follow:
        follow("examine this host")
        found_here = examine_here(narrowed)
        follow("ask the engines")
        found_here += examine_engines(narrowed)
        # The other monitoring hosts belong to no VIP, so they are examined where all VIPs are.
        if not vip:
            follow("ask the other monitoring hosts")
            found_here += examine_monitors(fleet)
    here = by_cause(found_here)
    for finding in here:
        _say(finding)
    with counting("doctor") as awaited:
        surveyed = survey(fleet, members, DAEMONS, SYSTEM_CLOCK, awaited)
    for finding in surveyed.findings:
        _say(finding)
    for trouble in surveyed.troubles:
        _say(replace(trouble, text=f"could not be asked: {trouble.text}"))
    if endpoint:
        for choice in surveyed.choices:
            click.echo(lines(choice)[0])
    found = [*here, *surveyed.findings]
    unasked = surveyed.unasked
    told = found or unasked
    click.secho(summary(surveyed.endpoints, found, unasked), fg=None if told else "green")
    if unasked:
        return TRIED_AND_FAILED
    return REFUSED if any(not finding.is_hint for finding in found) else DONE


def _say(finding: Finding) -> None:
    text, remedy = lines(finding)
    click.secho(text, fg="yellow" if finding.is_hint else "red")
    if remedy:
        click.echo(remedy)
