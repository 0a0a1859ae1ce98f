"""Show past decisions from the log of decisions, the newest last."""

from __future__ import annotations

from typing import Any

import click

from anycast_checks.line import clean

from ..errors import DONE, ConfigurationError
from ..operation.log import why_not
from ..operation.past import Wanted, last
from . import Invocation
from ._completion import endpoint_names, vip_names
from ._options import read_fleet


@click.command()
@click.argument("vip", metavar="[VIP]", required=False, shell_complete=vip_names)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=endpoint_names)
@click.option("-n", "--lines", type=click.IntRange(1), default=20, show_default=True, metavar="N",
              help="Show the last N decisions.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Show decisions to do nothing too.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    vip: str | None,
    endpoint: str | None,
    *,
    lines: int,
    everything: bool,
) -> int:
    """Show past decisions from the log of decisions, the newest last.

    Without --all, decisions to do nothing are left out, unless something failed. Files that
    logrotate has made of the log are read too, as far as is needed.
    """
    fleet = read_fleet(invocation.file)
    if vip and endpoint:
        fleet.find(vip, endpoint)
    elif vip:
        fleet.vip(vip)
    fields = {"vip": vip, "endpoint": endpoint}
    wanted = Wanted({k: value for k, value in fields.items() if value}, everything=everything)
    try:
        found, trouble = last(fleet.paths.log, wanted, lines)
    except OSError as error:
        why = why_not(fleet.paths.log, error)
        raise ConfigurationError(f"{fleet.paths.log}: cannot be read: {why}") from error
    if trouble:
        click.echo(clean(f"older decisions are missing: {trouble}", 900))
    for entry in found:
        click.echo(_show(entry))
    return DONE


def _show(entry: dict[str, Any]) -> str:
    time = str(entry.get("time", ""))[:19].replace("T", " ")
    dry = " --dry-run" if entry.get("dry_run") else ""
    who = f"{entry.get('verb')}{dry} by {entry.get('user')}"
    return clean(f"{time}  {who}: {entry.get('text', '')} [{entry.get('rule')}]", 900)
