"""Stops the automation on monitoring hosts, and ends that: the stop file on each of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from anycast_checks.address import Locality, locality
from anycast_checks.line import clean

from ..endpoint.site import SUDO
from ..errors import CommandFailedError, HandlerError
from ..fleet.values import Endpoint, Fleet
from ..transport.clock import RUN_SECONDS, Clock, Deadline
from ..transport.connections import Connections
from ..transport.each import Awaited, at_once
from ..transport.refusal import GatedShell
from ..transport.shell import Argv, Shell
from . import stop_file

HERE = "this host"
UNREADABLE = "the file cannot be read"


class Told(NamedTuple):
    """What came of it on a monitoring host; ``trouble`` is empty where it was done.

    ``said`` is what a stop file said that had been there before; None where there was none.
    """

    name: str
    trouble: str = ""
    said: str | None = None


def placing(file: str) -> Argv:
    """Give the command that places the stop file with what it reads, where there is none.

    It runs as root, and the directory may be somebody else's, who could make a link of the file.
    """
    return ("/usr/bin/dd", f"of={file}", "conv=excl", "status=none")


def removing(file: str) -> Argv:
    """Give the command that removes the stop file."""
    return ("/usr/bin/rm", "-f", file)


def looking(file: str) -> Argv:
    """Give the command that tells whether the stop file exists."""
    return ("/usr/bin/test", "-e", file)


def reading(file: str) -> Argv:
    """Give the command that tells what the stop file says."""
    return ("/usr/bin/head", "-c", str(stop_file.LARGEST), file)


def stop(
    fleet: Fleet,
    connections: Connections,
    clock: Clock,
    text: str | None,
    awaited: Awaited,
    *,
    everywhere: bool,
) -> list[Told]:
    """Place the stop file, or remove it, here and on the other monitoring hosts.

    One that is there already stays as it is. From another host only that is removed which had been
    placed everywhere: whoever has stopped a single host had a reason that lies there.

    Args:
        fleet: has the monitoring hosts, and where the stop file is on each of them.
        connections: lead to them.
        clock: bounds it.
        text: what the stop file says; None where it is to be removed.
        awaited: is told which of the others are waited for.
        everywhere: whether the other monitoring hosts are meant as well.
    """
    told = [_try(HERE, lambda: _here(fleet.paths.stop, text))]
    if not everywhere:
        return told

    def there(host: Endpoint) -> Told:
        def act() -> str | None:
            with connections.open(host, Deadline(clock, RUN_SECONDS)) as shell:
                return _there(shell, fleet.paths.stop, text)

        with awaited.coming(host.name):
            return _try(host.name, act)

    hosts = others(fleet)
    awaited.expect(host.name for host in hosts)
    return told + (at_once(there, hosts) if hosts else [])


def others(fleet: Fleet) -> list[Endpoint]:
    """List the other monitoring hosts; this one may be named too."""
    return [
        one for one in fleet.monitors if one.jump or locality(one.address) is not Locality.LOCAL
    ]


def _try(name: str, act: Callable[[], str | None]) -> Told:
    try:
        return Told(name, said=act())
    except HandlerError as error:
        return Told(name, str(error))


def _here(file: str, text: str | None) -> str | None:
    return stop_file.remove(file) if text is None else stop_file.place(file, text)


def _there(shell: Shell, file: str, text: str | None) -> str | None:
    wanted = text is not None
    # An account that may not look into the directory sees no file in it, so a look alone is never
    # taken for the end of the stop file.
    said = _said(shell, file) if is_there(shell, file) else None
    if wanted and said is not None:
        return said
    if said is not None and said != UNREADABLE and not said.startswith(stop_file.EVERYWHERE):
        what = f"that host alone was stopped: {said or stop_file.SILENT}"
        raise HandlerError(what, "`anycast-handler stop --end` on that host lets it act again")
    argv = removing(file) if text is None else placing(file)
    ended = GatedShell(shell).run(argv if shell.is_root else (*SUDO, *argv), stdin=text or "")
    if is_there(shell, file) is wanted and (wanted or ended.status == 0):
        return said
    if ended.status != 0:
        raise CommandFailedError(argv, ended.status, ended.stderr)
    raise HandlerError(f"{file} is {'not' if wanted else 'still'} there")


def _said(shell: Shell, file: str) -> str:
    """Read the stop file on another host, where an older list of the gate does not allow it."""
    with suppress(HandlerError):
        ended = GatedShell(shell).run(reading(file))
        if ended.status == 0:
            return clean(ended.stdout)
    return UNREADABLE


def is_there(shell: Shell, file: str) -> bool:
    """Whether the stop file is on another host.

    Raises:
        HandlerError: it does not say yes or no.
    """
    ended = GatedShell(shell).run(looking(file))
    if ended.status not in (0, 1):
        raise CommandFailedError(looking(file), ended.status, ended.stderr)
    return ended.status == 0
