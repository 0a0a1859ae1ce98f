"""Install on the endpoints what confines both accounts, or print it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from functools import cache

import click

from ..doctor.closed_list import closed_list
from ..endpoint.site import SUDO
from ..errors import DONE, TRIED_AND_FAILED, ConfigurationError, InstallationError
from ..fleet.values import Endpoint, Fleet, Place, Vip
from ..gate.allowed import Allowed, Command
from ..gate.install import alone, archive, install, told_once
from ..gate.parts import Part, Wanted, chosen, parts, plan
from ..operation.stopping import looking, placing, reading, removing
from . import Invocation
from ._completion import vip_names
from ._options import FilesToInstall, read_fleet, say
from ._progress import say_begin

NAMES = (
    "gate",
    "act",
    "mask",
    "allow",
    "sudoers",
    "authorized-keys",
    "vtysh",
    "birdc",
    "check-gate",
    "check-allow",
    "check-sudoers",
    "check-authorized-keys",
    "nrpe",
    "nrpe-sudoers",
)
NO_KEY = "none"


@click.command(cls=FilesToInstall)
@click.argument("vips", metavar="[VIP]...", nargs=-1, shell_complete=vip_names)
@click.option(
    "--install",
    "targets",
    multiple=True,
    metavar="ROOT@HOST",
    help="Install all parts on an endpoint, by your own ssh; repeatable.",
)
@click.option(
    "--only",
    type=click.Choice(NAMES),
    metavar="PART",
    help=f"Print one part alone: {', '.join(NAMES)}.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write all parts into a directory, each by its name, and a plan that says where it goes.",
)
@click.option(
    "--script", is_flag=True, help="Print a script that installs all parts where root runs it."
)
@click.option("--dry-run", is_flag=True, help="With --install: change nothing, say what would be.")
@click.option(
    "--check-key",
    default="/etc/anycast/check_ed25519",
    show_default=True,
    metavar="FILE",
    help="Private key of check_by_ssh, with its .pub beside it; none if nothing is asked by SSH.",
)
@click.option(
    "--check-user",
    default="check",
    show_default=True,
    metavar="NAME",
    help="Account that check_by_ssh logs in to.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="CHECK",
    help='A further check that the engine asks by SSH, such as "http -p 8080"; repeatable.',
)
@click.option("--nrpe", is_flag=True, help="Also what NRPE needs, which runs checks as nagios.")
@click.option("--monitor", is_flag=True, help="Print what a monitoring host needs, for stop --all.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    vips: tuple[str, ...],
    targets: tuple[str, ...],
    only: str | None,
    directory: str | None,
    *,
    script: bool,
    dry_run: bool,
    check_key: str,
    check_user: str,
    also: tuple[str, ...],
    nrpe: bool,
    monitor: bool,
) -> int:
    """Install on endpoints what confines both accounts, the handler's and that of the checks.

    The accounts can then do what they must for the VIPs that are named, and no more; without VIP,
    for those of the endpoint, which HOST names by its name or its address in the fleet file. Run it
    again after a change of the fleet file and after an upgrade. Without --install the parts are
    printed, without VIP for all. A host of the table [monitors] gets what `stop --all` needs.
    """
    fleet = read_fleet(invocation.file)
    found = tuple(fleet.vip(name) for name in vips)
    key = "" if check_key == NO_KEY else check_key
    wanted = Wanted(check_user, key, tuple(map(_words, also)), nrpe)
    if targets and not only:
        return _install_all(fleet, found, targets, wanted, dry_run=dry_run)
    if monitor:
        wanted = _with_stop(fleet, wanted)
    elif not found:
        found = fleet.vips
    if only:
        made = _parts(fleet, found, wanted)
        click.echo(next(part for part in made if part.name == only).text(), nl=False)
        return DONE
    made, texts = _texts(fleet, found, wanted)
    if script:
        click.echo(alone(texts), nl=False)
    elif directory:
        _write(directory, texts)
    else:
        _print(made, texts)
    return DONE


def _print(made: Sequence[Part], texts: Mapping[str, str]) -> None:
    for part in made:
        # The programs are the same everywhere, so nobody has to read them again.
        if part.mode != 0o755:
            click.echo(f"# {part.path}:\n{texts[part.name]}")


def _words(check: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(check))
    except ValueError as error:
        raise ConfigurationError(f"--also {check}: {error}") from error


def _parts(fleet: Fleet, vips: tuple[Vip, ...], wanted: Wanted) -> tuple[Part, ...]:
    as_root = fleet.ssh.user == "root"

    @cache
    def listed() -> Sequence[Allowed]:
        return [closed_list(vip, as_root=as_root) for vip in vips]

    return parts(fleet, vips, listed, wanted)


def _texts(
    fleet: Fleet, vips: tuple[Vip, ...], wanted: Wanted
) -> tuple[tuple[Part, ...], dict[str, str]]:
    """Write the parts that are wanted, and the text of each and of the plan, by its name."""
    made = chosen(_parts(fleet, vips, wanted), vips, wanted)
    texts = {part.name: part.text() for part in made}
    return made, {**texts, "plan": plan(made, fleet.ssh.user, vips)}


def _places(fleet: Fleet, target: str) -> set[Place]:
    return fleet.places_of(target.rpartition("@")[2])


def _is_among(hosts: Sequence[Endpoint], places: set[Place]) -> bool:
    return any(one.place in places for one in hosts)


def _vips_of(fleet: Fleet, target: str) -> tuple[Vip, ...]:
    """List the VIPs of the host that is installed; a monitoring host may have none.

    Raises:
        ConfigurationError: it is neither an endpoint nor a monitoring host. The list of all VIPs
            would let the accounts do more there than they must.
    """
    places = _places(fleet, target)
    if not places:
        raise ConfigurationError(
            f"--install {target}: no endpoint and no monitoring host of {fleet.file} has this name"
            " or address: write the host as it stands there, or name the VIPs that it is to carry"
        )
    return tuple(vip for vip in fleet.vips if _is_among(vip.endpoints, places))


def _with_stop(fleet: Fleet, wanted: Wanted) -> Wanted:
    """Want also what stops the automation on a monitoring host."""
    stop, as_root = fleet.paths.stop, fleet.ssh.user == "root"
    sudo = () if as_root else SUDO
    commands = (
        Command(looking(stop), is_fed=False),
        Command(reading(stop), is_fed=False),
        Command((*sudo, *placing(stop)), is_fed=True),
        Command((*sudo, *removing(stop)), is_fed=False),
    )
    return wanted._replace(commands=commands)


def _install_all(
    fleet: Fleet, vips: tuple[Vip, ...], targets: tuple[str, ...], wanted: Wanted, *, dry_run: bool
) -> int:
    packed = {}
    for target in targets:
        is_monitor = _is_among(fleet.monitors, _places(fleet, target))
        there = _with_stop(fleet, wanted) if is_monitor else wanted
        packed[target] = archive(_texts(fleet, vips or _vips_of(fleet, target), there)[1])
    # Each is tried, so that one endpoint that is down does not keep the others waiting.
    code, said = DONE, dict[str, tuple[str, ...]]()
    try:
        for number, (target, archived) in enumerate(packed.items(), 1):
            say_begin(f"gate: log in to {target}, {number} of {len(packed)}")
            try:
                said[target] = install(target, archived, dry_run=dry_run)
            except InstallationError as error:
                click.echo(str(error))
                code = TRIED_AND_FAILED
    finally:
        for line in told_once(said):
            say(line)
    return code


def _write(directory: str, texts: dict[str, str]) -> None:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for name, text in texts.items():
            file = os.open(
                os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
            )
            with open(file, "w", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: cannot be written: {error.strerror}"
        ) from error
