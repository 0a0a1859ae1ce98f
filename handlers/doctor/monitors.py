"""The other monitoring hosts: whether they could be stopped, and whether they are stopped now."""

from __future__ import annotations

from ..errors import HandlerError, RejectedError, UnreachableError
from ..fleet.values import Endpoint, Fleet
from ..operation.stopping import is_there, others
from ..transport.clock import SILENT_SECONDS, SYSTEM_CLOCK, Deadline, UntilHeard
from ..transport.connections import Connections, FreshConnections
from ..transport.each import at_once
from .finding import SEE_SSHD, Finding

SECONDS = 15.0
END_IT = "`anycast-handler stop --all --end`; or `stop --end` there, if it alone was stopped"
WOULD_NOT = "`stop --all` would not stop it"


def examine_monitors(fleet: Fleet) -> list[Finding]:
    """Examine the other monitoring hosts of the fleet file; nothing is changed on them."""
    connections = FreshConnections(fleet.ssh)

    def look(host: Endpoint) -> Finding | None:
        return _examine(fleet, host, connections)

    hosts = others(fleet)
    found = at_once(look, hosts) if hosts else []
    return [finding for finding in found if finding]


def _examine(fleet: Fleet, host: Endpoint, connections: Connections) -> Finding | None:
    about, stop = f"{fleet.file}: monitors.{host.name}", fleet.paths.stop
    deadline = Deadline(SYSTEM_CLOCK, SECONDS)
    connecting = UntilHeard(SYSTEM_CLOCK, SECONDS, SILENT_SECONDS)
    try:
        with connections.open(host, deadline, connecting) as shell:
            if is_there(shell, stop):
                text = f"{stop} exists there, so its automation only looks"
                return Finding(about, text, END_IT)
    except RejectedError as error:
        # A host key that has changed must not be answered by an installation.
        return Finding(about, f"{WOULD_NOT}: {error.what}", error.remedy)
    except UnreachableError as error:
        return Finding(about, f"{WOULD_NOT}: {error.what}", error.remedy or SEE_SSHD)
    except HandlerError as error:
        remedy = f"`anycast-handler gate --install root@{host.address}`"
        return Finding(about, f"{WOULD_NOT}: {error.what}", remedy)
    return None
