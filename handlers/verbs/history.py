"""Show past decisions from the log of decisions, the newest last."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import click

from anycast_checks.line import clean

from ..errors import DONE, ConfigurationError
from . import Invocation
from ._options import read_fleet

ROUTINE = ("nothing", "unlatch")


@click.command()
@click.argument("vip", metavar="[VIP]", required=False)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False)
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
    """Show past decisions from the log of decisions, the newest last."""
    fleet = read_fleet(invocation.file)
    if vip and endpoint:
        fleet.find(vip, endpoint)
    elif vip:
        fleet.vip(vip)
    wanted = {"vip": vip, "endpoint": endpoint}
    last: deque[dict[str, Any]] = deque(maxlen=lines)
    try:
        with open(fleet.paths.log, encoding="utf-8", errors="replace") as log:
            for line in log:
                entry = _read(line)
                if not entry or any(entry.get(k) != v for k, v in wanted.items() if v):
                    continue
                if everything or entry.get("action") not in ROUTINE:
                    last.append(entry)
    except FileNotFoundError:
        pass  # nothing has been decided yet
    except OSError as error:
        raise ConfigurationError(f"{fleet.paths.log}: cannot be read: {error.strerror}") from error
    for entry in last:
        click.echo(_show(entry))
    return DONE


def _read(line: str) -> dict[str, Any] | None:
    # A full disk may have cut a line short; the other lines are shown all the same.
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _show(entry: dict[str, Any]) -> str:
    time = str(entry.get("time", ""))[:19].replace("T", " ")
    who = f"{entry.get('verb')} by {entry.get('user')}"
    return clean(f"{time}  {who}: {entry.get('text', '')} [{entry.get('rule')}]", 900)
