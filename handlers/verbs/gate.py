"""Print the files that confine the handler's account on an endpoint."""

from __future__ import annotations

import click

from ..doctor.closed_list import closed_list
from ..errors import DONE
from ..gate import files
from ..gate.allowed import Command
from . import Invocation
from ._options import read_fleet

PARTS = ("gate", "allow", "sudoers", "authorized-keys")
# Printed only by --only, since this file confines nobody.
NRPE = "nrpe"


@click.command()
@click.argument("vips", metavar="[VIP]...", nargs=-1)
@click.option(
    "--only", type=click.Choice((*PARTS, NRPE)), help="Print that file alone, to install it."
)
@click.pass_obj
def command(invocation: Invocation, /, vips: tuple[str, ...], only: str | None) -> int:
    """Print the files that let the handler's account do what it must on an endpoint, and no more.

    For the VIPs that the endpoint carries; without VIP: for all of them. `gate` is the forced
    command, `allow` its closed list of commands, `sudoers` what runs as root, `authorized-keys`
    the line for the handler's key. `nrpe` has the commands for an endpoint's nrpe.cfg, where the
    engine gets to it by NRPE.
    """
    fleet = read_fleet(invocation.file)
    found = tuple(fleet.vip(name) for name in vips) or fleet.vips

    def listed() -> list[Command]:
        as_root = fleet.ssh.user == "root"
        return [command for vip in found for command in closed_list(vip, as_root=as_root)]

    texts = {
        "gate": (files.GATE, files.gate),
        "allow": (files.ALLOW, lambda: files.allow(listed())),
        "sudoers": (files.SUDOERS, lambda: files.sudoers(fleet.ssh, listed())),
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
