"""Something is asked along with other questions, before it is needed."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import OutcomeUnknownError
from .shell import COMMAND_SECONDS, Hear, Query, Reply, Result, Shell, Stream


class Along:
    """A shell that asks something along with its first questions, and gives those replies once.

    Each session on a connection costs both sides more than most questions do.
    """

    def __init__(self, shell: Shell, along: Sequence[Query]) -> None:
        """Ask ``along`` behind the first questions, so that these do not wait for it."""
        self.is_root = shell.is_root
        self.distance, self.expiring = shell.distance, shell.expiring
        self._shell = shell
        self._along = along
        self._replies: dict[tuple[str, ...], Reply] = {}

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command, or give the reply that was asked along; see Shell.run."""
        reply = None if stdin else self._replies.pop(tuple(argv), None)
        if reply is None:
            return self._shell.run(argv, stdin, timeout)
        if isinstance(reply, OutcomeUnknownError):
            raise reply
        return reply

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run queries, the first time with what is asked along; see Shell.ask_all."""
        along, self._along = self._along, ()
        replies = self._shell.ask_all((*queries, *along))
        asked = (tuple(query.argv) for query in along)
        self._replies.update(zip(asked, replies[len(queries) :], strict=True))
        return replies[: len(queries)]

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Start a command that goes on; see Shell.stream."""
        return self._shell.stream(argv, hear)
