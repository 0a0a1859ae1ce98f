"""What would go wrong at night, found by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click

from anycast_checks.line import clean
from anycast_checks.routing import DAEMONS

from .command import read_fleet
from .doctor.examine import examine
from .doctor.finding import Examined, Finding, Subject
from .doctor.here import examine_here
from .doctor.routing import compare
from .endpoint.site import Site
from .errors import DONE, REFUSED, TRIED_AND_FAILED, ConfigurationError, HandlerError, RejectedError
from .fleet.values import Endpoint, Fleet, Vip
from .transport.deadline import Deadline
from .transport.each import Turns, at_once
from .transport.refusal import GatedShell
from .transport.shell import open_shell

SECONDS = 60.0
CONNECT_SECONDS = 15.0


class _Chosen(NamedTuple):
    name: str
    vip: Vip
    endpoint: Endpoint


@click.command()
@click.argument("vip", metavar="[VIP]", required=False)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False)
@click.pass_obj
def command(file: str, /, vip: str | None, endpoint: str | None) -> int:
    """Find what would go wrong at night, and say what to do; changes nothing.

    Exits with 1 where something was found, 2 where an endpoint could not be asked.
    """
    fleet = read_fleet(file)
    vips = (fleet.vip(vip),) if vip else fleet.vips
    chosen = [(v, e) for v in vips for e in v.endpoints]
    if vip and endpoint:
        chosen = [fleet.find(vip, endpoint)]
    here = examine_here(fleet._replace(vips=vips))
    turns = Turns()
    subjects = [_Chosen(_name(v, e, vips), v, e) for v, e in chosen]
    examined = at_once(lambda one: _examine(fleet, one, turns), subjects)
    by_name = {one.name: one.findings for one in examined}
    for finding in compare([one.subject for one in examined if one.subject]):
        by_name[finding.endpoint].append(finding)
    _print(here, examined)
    if any(one.trouble for one in examined):
        return TRIED_AND_FAILED
    found = [*here, *(finding for one in examined for finding in one.findings)]
    return REFUSED if any(not finding.is_hint for finding in found) else DONE


def _name(vip: Vip, endpoint: Endpoint, vips: tuple[Vip, ...]) -> str:
    return endpoint.name if len(vips) == 1 else f"{endpoint.name} ({vip.name})"


def _examine(fleet: Fleet, one: _Chosen, turns: Turns) -> Examined:
    deadlines = Deadline(SECONDS), Deadline(CONNECT_SECONDS)
    try:
        with open_shell(one.endpoint, fleet.ssh, *deadlines, turns) as shell:
            site = Site(GatedShell(shell), one.vip, fleet.siblings(one.vip, one.endpoint))
            return examine(Subject(one.name, fleet.ssh.user, one.vip, one.endpoint, site), DAEMONS)
    except ConfigurationError:
        raise
    except RejectedError as error:
        return Examined(one.name, [Finding(one.name, error.what, error.remedy)])
    except HandlerError as error:
        return Examined(one.name, [], trouble=str(error))


def _print(here: Sequence[Finding], examined: Sequence[Examined]) -> None:
    for finding in here:
        _say(finding)
    for one in examined:
        for finding in one.findings:
            _say(finding)
        if one.trouble:
            text = f"{one.name}: could not be asked: {one.trouble}"
            click.secho(clean(text, 900), fg="red")
        elif not one.findings:
            click.secho(f"{one.name}: nothing found", fg="green")


def _say(finding: Finding) -> None:
    click.secho(str(finding), fg="yellow" if finding.is_hint else "red")
