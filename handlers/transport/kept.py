"""Connections that are kept open, one an endpoint, for streams and for all runs of a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from anycast_checks.address import Locality, locality

from ..errors import UnreachableError
from ..fleet.values import Endpoint, Jump, Ssh
from .clock import Deadline
from .local import LocalShell
from .session import Session
from .sessions import Sessions
from .shell import COMMAND_SECONDS, FAR, Connection, Hear, Query, Reply, Result, Stream
from .ssh import SshConnection

# sshd allows ten sessions on a connection, unless it was told otherwise (MaxSessions). One is left
# for a command whose end was not heard.
MOST_SESSIONS = 9
# The others are for commands, of which an act needs four at a time, and asking ahead seven.
MOST_STREAMS = 4


class Place(NamedTuple):
    """Where a connection leads to, and through which bastion.

    ``number`` is 0 for the one that runs commands.
    """

    address: str
    port: int
    jump: Jump | None
    number: int = 0


class KeptConnections:
    """Hands out sessions on connections that stay open; see Connections.

    A connection that is lost is opened again by whoever needs it next.
    """

    def __init__(
        self,
        ssh: Ssh,
        is_local: Callable[[str], bool] = lambda address: locality(address) is Locality.LOCAL,
    ) -> None:
        """Keep connections to endpoints.

        Args:
            ssh: how to log in.
            is_local: tells whether an address is this very host's, which needs no connection.
        """
        self._ssh = ssh
        self._is_local = is_local
        self._lock = threading.Lock()
        self._kept: dict[Place, _Kept] = {}

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Session]:
        """Open a session on the connection to an endpoint; see Connections."""
        session = Session(_Way(self._of(endpoint)), deadline, connecting or deadline)
        try:
            yield session
        finally:
            session.close()

    def stream(
        self, endpoint: Endpoint, argv: Sequence[str], hear: Hear, connecting: Deadline, number: int
    ) -> Stream:
        """Start a command that goes on; see Shell.stream.

        Args:
            endpoint: where it is to run.
            argv: the command.
            hear: is given what it prints.
            connecting: the deadline by which the login has to be complete.
            number: the number of this stream among those of the endpoint; a connection has room
                for MOST_STREAMS.

        Raises:
            HandlerError: as Connections.open and Shell.stream.
        """
        kept = self._of(endpoint, number // MOST_STREAMS)
        kept.leave_room(number % MOST_STREAMS + 1)
        return kept.borrow(connecting).stream(argv, hear)

    def drop(self, endpoint: Endpoint, number: int) -> None:
        """Close the connection of a stream, with all that runs on it."""
        self._of(endpoint, number // MOST_STREAMS).drop()

    def log_in_as(self, ssh: Ssh) -> None:
        """Close all connections, and log in otherwise from now on."""
        self.close()
        with self._lock:
            self._ssh, self._kept = ssh, {}

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            kept = list(self._kept.values())
        for one in kept:
            one.drop()

    def _of(self, endpoint: Endpoint, number: int = 0) -> _Kept:
        place = Place(endpoint.address, endpoint.port, endpoint.jump, number)
        with self._lock:
            if place not in self._kept:
                self._kept[place] = _Kept(endpoint, self._ssh, self._is_local)
            return self._kept[place]


class _Kept:
    """The connection to one endpoint, while it lasts, and the number of sessions on it."""

    def __init__(self, endpoint: Endpoint, ssh: Ssh, is_local: Callable[[str], bool]) -> None:
        self._endpoint = endpoint
        self._ssh = ssh
        self._is_local = is_local
        self._connecting = threading.Lock()
        self._connection: SshConnection | LocalShell | None = None
        self._streams = 0
        self._sessions = Sessions(MOST_SESSIONS - MOST_STREAMS)

    def borrow(self, deadline: Deadline) -> Connection:
        """Give the connection for a while; open it where it is not open.

        Raises:
            HandlerError: as Connections.open.
        """
        # Whoever comes meanwhile waits for the same login.
        if not self._connecting.acquire(timeout=deadline.left(deadline.seconds)):
            where = f"{self._endpoint.address} port {self._endpoint.port}"
            raise UnreachableError(f"{where}: a login that was begun before has not ended")
        try:
            connection = self._connection
            if connection is None or not connection.is_open:
                self.drop()
                connection = self._connection = self.connect(deadline, kept=True)
                self._sessions = Sessions(self._room(connection))
            return _Borrowed(connection, self._sessions)
        finally:
            self._connecting.release()

    def leave_room(self, streams: int) -> None:
        """Leave room for so many streams."""
        if streams <= self._streams:
            return
        self._streams, connection = streams, self._connection
        if connection is not None:
            self._sessions.set_room(self._room(connection))
            if isinstance(connection, SshConnection):
                connection.drop_spares()

    def _room(self, connection: SshConnection | LocalShell) -> int:
        """Give how many commands may run at a time; near by, more would only delay each other."""
        streams = self._streams if connection.distance > FAR else 0
        return MOST_SESSIONS - (streams or MOST_STREAMS)

    def drop(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._connection is not None and self._connection.is_open

    def connect(self, deadline: Deadline, *, kept: bool) -> SshConnection | LocalShell:
        """Make another connection; raises as Connections.open does."""
        if not self._endpoint.jump and self._is_local(self._endpoint.address):
            return LocalShell()
        # It waits for no turn: whoever stalls at the login would keep runs and streams waiting.
        return SshConnection(self._endpoint, self._ssh, None, (), deadline, kept=kept)


class _Way:
    """How one run gets a connection: the kept one, and at the next try one of its own.

    A run asks again where nothing could be sent. The kept connection may then seem to be open, but
    lead nowhere, or have no room: some let sshd accept a single session (MaxSessions).
    """

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._was_tried = False

    def __call__(self, deadline: Deadline) -> Connection:
        if self._was_tried and self._kept.is_open:
            return self._kept.connect(deadline, kept=False)
        self._was_tried = True
        return self._kept.borrow(deadline)


class _Borrowed:
    """A kept connection in the hands of one run, which does not close it."""

    def __init__(self, connection: SshConnection | LocalShell, sessions: Sessions) -> None:
        self.is_root = connection.is_root
        self.distance = connection.distance
        self.expiring = connection.expiring
        self._connection = connection
        self._sessions = sessions

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        with self._sessions.taken(1, timeout):
            return self._connection.run(argv, stdin, timeout)

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        replies: list[Reply] = []
        most = self._sessions.room
        size = len(queries) if self._needed(queries) <= most else most
        for first in range(0, len(queries), size):
            some = queries[first : first + size]
            shortest = min(query.timeout for query in some)
            with self._sessions.taken(self._needed(some), shortest):
                replies += self._connection.ask_all(some)
        return replies

    def _needed(self, queries: Sequence[Query]) -> int:
        connection = self._connection
        return connection.sessions(queries) if isinstance(connection, SshConnection) else 1

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        return self._connection.stream(argv, hear)

    def close(self) -> None:
        """Prepare for the next run; the connection stays open."""
        if isinstance(self._connection, SshConnection) and self.distance > FAR:
            self._sessions.prepare(self._connection.spares)
