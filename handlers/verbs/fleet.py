"""Validate the fleet file, and print what is in effect."""

from __future__ import annotations

import json

import click

from ..activators import names
from ..errors import DONE
from ..fleet.effective import effective, toml
from ..fleet.schema import schema
from . import Invocation
from ._options import FilesToInstall, read_fleet


@click.command(cls=FilesToInstall)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of TOML.")
@click.option("--schema", "as_schema", is_flag=True,
              help="Print the JSON Schema of fleet files, and read none.")  # fmt: skip
@click.pass_obj
def command(invocation: Invocation, /, *, as_json: bool, as_schema: bool) -> int:
    """Validate the fleet file, and print what is in effect.

    What is printed has every key, those of included files and every default, and is itself a fleet
    file. Where something is wrong, a line on stderr names file, key and reason, and the exit code
    is 3.
    """
    if as_schema:
        click.echo(json.dumps(schema(names()), indent=2))
        return DONE
    document = effective(read_fleet(invocation.file))
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo("\n".join(toml(document)), nl=False)
    return DONE
