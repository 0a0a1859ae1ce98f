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
# This file is printed only with --only, since it does not confine the account.
NRPE = "nrpe"


@click.command()
@click.argument("vips", metavar="[VIP]...", nargs=-1)
@click.option(
    "--only", type=click.Choice((*PARTS, NRPE)), help="Print one file alone, to install it."
)
@click.pass_obj
def command(invocation: Invocation, /, vips: tuple[str, ...], only: str | None) -> int:
    """Print the files that confine the handler's account on an endpoint.

    They let the account do what it must for the VIPs that are named, and no more; without VIP, for
    all VIPs. `gate` is the forced command, `allow` its closed list of commands, `sudoers` says what
    runs as root, and `authorized-keys` is the line for the handler's key. `nrpe` has the checks for
    the nrpe.cfg of an endpoint that the engine asks by NRPE.
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
