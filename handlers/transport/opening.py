"""Open a session with an endpoint: over SSH, or without where it is this very host."""

from __future__ import annotations

from functools import partial

from anycast_checks.address import Locality, locality

from ..fleet.values import Endpoint
from .clock import Deadline
from .local import LocalShell
from .login_files import LoginFiles
from .session import Session
from .shell import Connection
from .ssh import SshConnection
from .turns import Turns


def open_session(
    endpoint: Endpoint,
    files: LoginFiles,
    deadline: Deadline,
    connecting: Deadline,
    turns: Turns | None,
) -> Session:
    """Open a session; see Connections.open.

    The session is local where the management address is this host's own, which a socket proves.
    Behind a bastion the same address may be that of another host.
    """
    if not endpoint.jump and locality(endpoint.address) is Locality.LOCAL:
        return Session(_connect_here, deadline, connecting)
    waiting = (deadline, connecting)
    connect = partial(SshConnection, endpoint, files.ssh, turns, waiting, files=files)
    return Session(connect, deadline, connecting)


def _connect_here(connecting: Deadline) -> Connection:
    return LocalShell()
