"""One run on a connection: no command outlasts the run, a lost connection is made anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import OutcomeUnknownError, UnreachableError
from .clock import Deadline
from .shell import (
    COMMAND_SECONDS,
    Connection,
    Hear,
    Query,
    Reply,
    Result,
    Stream,
    ask,
    with_distance,
)

# Seconds to wait before each new try to connect.
PAUSES = (0.5, 1.0, 2.0)
# Makes a connection, and gives up at a deadline.
Connect = Callable[[Deadline], Connection]


class Session:
    """A shell for one run.

    The connection below it knows nothing of the run: the session tells it how many seconds each
    command may take, with room for the distance, and these never go beyond the run's deadline.
    """

    def __init__(self, connect: Connect, deadline: Deadline, connecting: Deadline) -> None:
        self._connect = connect
        self._deadline = deadline
        self._connection = _connect_patiently(connect, connecting)
        self.is_root = self._connection.is_root
        self.distance = self._connection.distance
        self.expiring = self._connection.expiring

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        try:
            return self._connection.run(argv, stdin, self._limit(timeout))
        except UnreachableError:
            # Nothing was sent, so it is safe to send the command over a new connection. That is
            # tried once, and briefly, since other runs may be waiting for the lock.
            self.close()
            self._connection = self._connect(self._deadline.within(self._limit(COMMAND_SECONDS)))
            return self._connection.run(argv, stdin, self._limit(timeout))

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run queries at the same time; see Shell.ask_all."""
        in_time = self._deadline.within(self._limit(min(query.timeout for query in queries)))
        replies = self._send_all(queries)
        lost = [
            query
            for query, reply in zip(queries, replies, strict=True)
            if isinstance(reply, OutcomeUnknownError)
        ]
        if in_time.passed or not lost:
            return replies
        # Their time is not over, so these queries were lost with the connection or ended by a
        # signal. Asking the first one again makes a new connection where that is needed.
        again = iter([ask(self, lost[0]), *self._send_all(lost[1:])])
        return [next(again) if isinstance(r, OutcomeUnknownError) else r for r in replies]

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Start a command that goes on; see Shell.stream."""
        return self._connection.stream(argv, hear)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _limit(self, timeout: float) -> float:
        """Give the seconds that a command may take, with room for the distance."""
        return self._deadline.left(with_distance(timeout, self.distance))

    def _send_all(self, queries: Sequence[Query]) -> list[Reply]:
        bounded = [query._replace(timeout=self._limit(query.timeout)) for query in queries]
        try:
            return self._connection.ask_all(bounded) if bounded else []
        except UnreachableError:
            # The connection is gone, or the endpoint's sshd allows one session only.
            return [ask(self, query) for query in queries]


def _connect_patiently(connect: Connect, connecting: Deadline) -> Connection:
    """Connect; after an UnreachableError try again with growing pauses, while there is time."""
    began = connecting.clock.monotonic()
    pauses = list(PAUSES)
    while True:
        try:
            return connect(connecting)
        except UnreachableError as error:
            if pauses and connecting.left(pauses[0]) >= pauses[0]:
                connecting.clock.sleep(pauses.pop(0))
                continue
            tries = 1 + len(PAUSES) - len(pauses)
            if tries == 1:
                raise
            # The seconds of the last try alone would be misleading.
            seconds = connecting.clock.monotonic() - began
            what = f"{error.what} ({tries} tries in {seconds:.1f} s)"
            raise UnreachableError(what, error.remedy) from error
