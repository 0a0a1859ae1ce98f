"""Validate the fleet file, and print what is in effect."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click

from ..activators import names
from ..decision.facts import name_some
from ..errors import DONE
from ..fleet.effective import effective, toml
from ..fleet.schema import schema
from ..fleet.values import Fleet, Vip
from . import Invocation
from ._options import FilesToInstall, read_fleet
from ._summary import MOST_VIPS

# With more endpoints nobody reads the whole on a terminal.
MOST_ENDPOINTS = 16


@click.command(cls=FilesToInstall)
@click.option("--all", "every", is_flag=True, help="Print every key on a terminal, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of TOML.")
@click.option("--schema", "as_schema", is_flag=True,
              help="Print the JSON Schema of fleet files, and read none.")  # fmt: skip
@click.pass_obj
def command(invocation: Invocation, /, *, every: bool, as_json: bool, as_schema: bool) -> int:
    """Validate the fleet file, and print what is in effect.

    What is printed has every key, those of included files and every default, and is itself a fleet
    file. On a terminal, more than 16 endpoints are only counted, unless --all or --json is given.
    Where something is wrong, a line on stderr names file, key and reason, and the exit code is 3.
    """
    if as_schema:
        click.echo(json.dumps(schema(names()), indent=2))
        return DONE
    fleet = read_fleet(invocation.file)
    number = sum(len(vip.endpoints) for vip in fleet.vips)
    if as_json:
        click.echo(json.dumps(effective(fleet), indent=2))
    elif number > MOST_ENDPOINTS and not every and sys.stdout.isatty():
        click.echo("\n".join(_in_short(fleet)))
    else:
        click.echo("\n".join(toml(effective(fleet))), nl=False)
    return DONE


def _in_short(fleet: Fleet) -> Iterator[str]:
    files = len(fleet.included)
    beside = f", with {files} included {'file' if files == 1 else 'files'}" if files else ""
    yield f"{fleet.file} is valid{beside}"
    yield from map(_counted, fleet.vips[:MOST_VIPS])
    if (left := len(fleet.vips) - MOST_VIPS) > 0:
        yield f"{left} more VIPs" if left > 1 else "1 more VIP"
    if fleet.monitors:
        yield f"monitoring hosts: {name_some([one.name for one in fleet.monitors])}"
    yield "--all prints every key, as a pipe and a file get it"


def _counted(vip: Vip) -> str:
    endpoints = len(vip.endpoints)
    sites = sum(bool(name) for name in vip.sites)
    text = f"{endpoints} endpoint{'' if endpoints == 1 else 's'}"
    if sites:
        text += f" in {sites} site{'' if sites == 1 else 's'}"
    return f"{vip.name}: {vip.address} on {vip.interface}, {text}, floor {vip.floor}"
