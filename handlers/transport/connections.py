"""Connections: hand out a shell for an endpoint, over SSH or on this very host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..fleet.values import Endpoint, Ssh
from .clock import Deadline
from .shell import Shell
from .turns import Turns


class Connections(Protocol):
    """Hands out shells; handed to whoever needs one, so that a test can hand in its own."""

    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> AbstractContextManager[Shell]:
        """Open the shell of an endpoint for one run, and close it in the end.

        Args:
            endpoint: where.
            deadline: of all that is run there.
            connecting: of the connection, where others must not wait for it for as long.

        Raises:
            ConfigurationError: identity or known hosts cannot be used.
            UnreachableError: nobody answers, or not in time.
            RejectedError: the host key or the login is refused.
        """


class FreshConnections:
    """Opens a connection for each run, and closes it with the run."""

    def __init__(self, ssh: Ssh, turns: Turns | None = None) -> None:
        """Log in as ``ssh`` says; where there are many endpoints, ``turns`` bounds the work."""
        self._ssh = ssh
        self._turns = turns

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint; see Connections.

        It is tried again, with growing pauses, for as long as nothing was sent.
        """
        # An engine calls the handler mostly for nothing, and paramiko takes longer to import than
        # everything else together: it is imported where there is something to connect to.
        from .opening import open_session

        session = open_session(endpoint, self._ssh, deadline, connecting or deadline, self._turns)
        try:
            yield session
        finally:
            session.close()
