"""The engines that the watcher reports to, one file each."""

from __future__ import annotations

import socket

from ...fleet.values import Fleet
from .icinga import IcingaApi
from .nagios import CommandFile
from .report import Engine
from .teller import Teller


def engines(fleet: Fleet) -> tuple[Engine, ...]:
    """Make the engines that the fleet file names; they are told nothing before they are started.

    Raises:
        ConfigurationError: a file that the fleet file names cannot be used.
    """
    rank = fleet.watch.rank
    here = watcher_host()
    found: list[Engine] = []
    if (icinga := fleet.icinga) is not None:
        host = icinga.watcher or here
        found.append(Teller("icinga", IcingaApi(icinga), icinga.attempts, host, rank))
    if (nagios := fleet.nagios) is not None:
        host = nagios.watcher or here
        found.append(Teller("nagios", CommandFile(nagios), nagios.attempts, host, rank))
    return tuple(found)


def watcher_host() -> str:
    """Name the host that has the service of the watcher, where the fleet file names none."""
    return socket.gethostname()
