"""Print the files that confine the handler's account on an endpoint."""

from __future__ import annotations

import click

from ..doctor.closed_list import closed_list
from ..endpoint.change import HELPER
from ..errors import DONE
from ..gate import files
from ..gate.allowed import Allowed
from . import Invocation
from ._options import read_fleet

PARTS = ("gate", "act", "allow", "sudoers", "authorized-keys")
# Programs are printed only with --only, since nobody would read them among the rest.
PROGRAMS = ("gate", "act")
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
    all VIPs. `gate` is the forced command, `act` the program that makes every change, `allow` the
    closed list of commands of both, `sudoers` says what runs as root, and `authorized-keys` is the
    line for the handler's key. `nrpe` has the checks for the nrpe.cfg of an endpoint that the
    engine asks by NRPE.
    """
    fleet = read_fleet(invocation.file)
    found = tuple(fleet.vip(name) for name in vips) or fleet.vips

    def listed() -> list[Allowed]:
        return [closed_list(vip, as_root=fleet.ssh.user == "root") for vip in found]

    texts = {
        "gate": (files.GATE, files.gate),
        "act": (HELPER, files.helper),
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
    for part in PARTS:
        if part in PROGRAMS:
            continue
        path, text = texts[part]
        click.echo(f"# {path}:\n{text()}")
    return DONE
