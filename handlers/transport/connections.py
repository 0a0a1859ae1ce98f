"""Connections: hand out a shell for an endpoint, over SSH or on this very host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..fleet.values import Endpoint, Ssh
from .clock import Deadline
from .login_files import LoginFiles
from .shell import Shell
from .turns import Turns


class Connections(Protocol):
    """Hands out shells; it is passed as an argument, so that a test can pass its own."""

    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> AbstractContextManager[Shell]:
        """Open the shell of an endpoint for one run, and close it in the end.

        Args:
            endpoint: the host to connect to.
            deadline: bounds everything that is run there.
            connecting: an earlier deadline of the login, where others wait for it.

        Raises:
            ConfigurationError: identity or known hosts cannot be used.
            UnreachableError: the endpoint does not answer, or not in time.
            RejectedError: the host key or the login is refused.
        """


class FreshConnections:
    """Opens a connection for each run, and closes it with the run."""

    def __init__(self, ssh: Ssh, turns: Turns | None = None) -> None:
        """Log in as ``ssh`` says; ``turns`` bounds how many sessions work at the same time."""
        self._files = LoginFiles(ssh)
        self._turns = turns

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint; see Connections.

        After an UnreachableError the connecting is tried again, with growing pauses.
        """
        # Most calls by an engine need no connection, and importing paramiko takes longer than
        # everything else together, so it is imported only here.
        from .opening import open_session

        bounds = (deadline, connecting or deadline)
        session = open_session(endpoint, self._files, *bounds, self._turns)
        try:
            yield session
        finally:
            session.close()
