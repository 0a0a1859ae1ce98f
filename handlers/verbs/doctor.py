"""Find by day what would go wrong at night, and say what to do."""

from __future__ import annotations

from collections.abc import Sequence

import click

from anycast_checks.line import clean
from anycast_checks.routing import DAEMONS

from ..doctor.finding import Examined, Finding
from ..doctor.here import examine_here
from ..doctor.survey import Chosen, survey
from ..errors import DONE, REFUSED, TRIED_AND_FAILED
from ..fleet.values import Endpoint, Vip
from ..transport.clock import SYSTEM_CLOCK
from . import Invocation
from ._options import LINE, read_fleet


@click.command()
@click.argument("vip", metavar="[VIP]", required=False)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False)
@click.pass_obj
def command(invocation: Invocation, /, vip: str | None, endpoint: str | None) -> int:
    """Find by day what would go wrong at night, and say what to do.

    Nothing is changed. Exit code 1 means that something was found (a hint does not count), 2 that
    an endpoint could not be asked.
    """
    fleet = read_fleet(invocation.file)
    vips = (fleet.vip(vip),) if vip else fleet.vips
    chosen = [(v, e) for v in vips for e in v.endpoints]
    if vip and endpoint:
        chosen = [fleet.find(vip, endpoint)]
    here = examine_here(fleet._replace(vips=vips))
    subjects = [Chosen(_name(v, e, vips), v, e) for v, e in chosen]
    examined = survey(fleet, subjects, DAEMONS, SYSTEM_CLOCK)
    _print(here, examined)
    if any(one.trouble for one in examined):
        return TRIED_AND_FAILED
    found = [*here, *(finding for one in examined for finding in one.findings)]
    return REFUSED if any(not finding.is_hint for finding in found) else DONE


def _name(vip: Vip, endpoint: Endpoint, vips: tuple[Vip, ...]) -> str:
    return endpoint.name if len(vips) == 1 else f"{endpoint.name} ({vip.name})"


def _print(here: Sequence[Finding], examined: Sequence[Examined]) -> None:
    for finding in here:
        _say(finding)
    for one in examined:
        for finding in one.findings:
            _say(finding)
        if one.trouble:
            text = f"{one.name}: could not be asked: {one.trouble}"
            click.secho(clean(text, LINE), fg="red")
        elif not one.findings:
            click.secho(f"{one.name}: nothing found", fg="green")


def _say(finding: Finding) -> None:
    click.secho(str(finding), fg="yellow" if finding.is_hint else "red")
