"""What an endpoint needs, so that the handler's account can do what it must and no more."""

from __future__ import annotations

import click

from .command import read_fleet
from .errors import DONE
from .gate import files

PARTS = ("gate", "allow", "sudoers", "authorized-keys")
# Printed when it is asked for: it confines nobody.
NRPE = "nrpe"


@click.command()
@click.argument("vips", metavar="[VIP]...", nargs=-1)
@click.option(
    "--only", type=click.Choice((*PARTS, NRPE)), help="Print that file alone, to install it."
)
@click.pass_obj
def command(file: str, /, vips: tuple[str, ...], only: str | None) -> int:
    """Print the files that let the handler's account do what it must on an endpoint, and no more.

    For the VIPs that the endpoint carries; without VIP: for all of them. `gate` is the forced
    command, `allow` its closed list of commands, `sudoers` what runs as root, `authorized-keys`
    the line for the handler's key. `nrpe` has the commands for an endpoint's nrpe.cfg, where the
    engine gets to it by NRPE.
    """
    fleet = read_fleet(file)
    found = tuple(fleet.vip(name) for name in vips) or fleet.vips
    texts = {
        "gate": (files.GATE, files.gate),
        "allow": (files.ALLOW, lambda: files.allow(fleet.ssh, found)),
        "sudoers": (files.SUDOERS, lambda: files.sudoers(fleet.ssh, found)),
        "authorized-keys": (
            f"~{fleet.ssh.user}/.ssh/authorized_keys",
            lambda: files.authorized_keys(fleet.ssh),
        ),
        NRPE: (files.NRPE, lambda: files.nrpe(found)),
    }
    if only:
        click.echo(texts[only][1](), nl=False)
        return DONE
    for part in PARTS[1:]:
        path, text = texts[part]
        click.echo(f"# {path}:\n{text()}")
    return DONE
