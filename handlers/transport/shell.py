"""The Shell: runs commands on an endpoint, however the endpoint is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from anycast_checks.routing.daemon import LARGEST_ANSWER

from ..errors import OutcomeUnknownError

Argv = tuple[str, ...]

COMMAND_SECONDS = 3.0
# Round trips by which each time limit is longer: a command takes two, and a packet that was lost is
# sent again after one or two more.
ROUND_TRIPS = 6
# An endpoint to which a round trip takes more seconds is far away.
FAR = 0.01
# Exit status of a shell that cannot find the program.
NOT_FOUND = 127
# Bytes that are kept of each output stream of a command. The largest output is that of a routing
# daemon, and what a check can count the handler has to count too.
LARGEST_OUTPUT = LARGEST_ANSWER
# Bytes of one line of a command that goes on.
LONGEST_LINE = 65536


class Result(NamedTuple):
    """How a command ended: exit status, and the text of both streams."""

    status: int
    stdout: str
    stderr: str


class Query(NamedTuple):
    """A command that changes nothing, and the seconds that it may take.

    ``takes_long`` tells that others are not to wait for its end: it waits for another program.
    """

    argv: Sequence[str]
    timeout: float = COMMAND_SECONDS
    takes_long: bool = False


# The result of a query: how it ended, or why its end is not known.
Reply = Result | OutcomeUnknownError


# Is given each line that a command prints, without its line break, and None at the end. A thread of
# the connection calls it, so it must not wait for anything.
Hear = Callable[[str | None], None]


class Stream(Protocol):
    """A command that goes on until it is stopped."""

    @property
    def trouble(self) -> str:
        """Say why nothing more comes, as far as is known: the end of its standard error, say."""

    def close(self) -> None:
        """Stop listening.

        A command on this host is ended. Over SSH the command is told that its reader has gone; one
        that never writes may go on until the connection ends.
        """


class Shell(Protocol):
    """Runs commands on one endpoint, as one user.

    Attributes:
        is_root: whether the user is root.
        distance: the seconds that a round trip to the endpoint takes, longer where packets are
            lost on the way; 0 for this very host.
        expiring: when the certificate that proves the endpoint to be itself expires, if soon; else
            empty.
    """

    is_root: bool
    distance: float
    expiring: str

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end.

        Raises:
            UnreachableError: it was not sent.
            OutcomeUnknownError: it was sent, and did not end within ``timeout`` seconds, with room
                for the distance, or its end was not heard.
        """

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run commands that change nothing, at the same time where the shell can.

        Raises:
            UnreachableError: not all were sent.
        """

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Start a command that goes on until its stream is closed.

        Args:
            argv: the command.
            hear: is given what it prints, line by line.

        Raises:
            UnreachableError: it was not sent.
            OutcomeUnknownError: it was sent, and it is not known whether it runs.
        """


class Connection(Shell, Protocol):
    """An open connection to an endpoint; it knows of no run, and each command has its own time."""

    def close(self) -> None:
        """Close the connection; commands that still run there are left to themselves."""


def with_distance(seconds: float, distance: float) -> float:
    """Make a time limit longer by some round trips of ``distance`` seconds each."""
    return seconds + ROUND_TRIPS * distance


def ask_in_turn(shell: Shell, queries: Sequence[Query]) -> list[Reply]:
    """Run queries one after the other, for a shell that cannot run them at once."""
    return [ask(shell, query) for query in queries]


def ask(shell: Shell, query: Query) -> Reply:
    """Run one query; where its outcome is unknown, the error is the reply."""
    try:
        return shell.run(query.argv, timeout=query.timeout)
    except OutcomeUnknownError as error:
        return error
