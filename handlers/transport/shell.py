"""The Shell: how a command reaches an endpoint, over SSH or on this very host."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from ..errors import OutcomeUnknownError, UnreachableError
from ..fleet.values import Endpoint, Ssh
from .deadline import Deadline

if TYPE_CHECKING:
    from .each import Turns

Argv = tuple[str, ...]

COMMAND_SECONDS = 3.0
# The exit status of a shell that finds no such program.
NOT_FOUND = 127
# Before each new try to connect.
PAUSES = (0.5, 1.0, 2.0)


class Result(NamedTuple):
    """How a command ended: exit status, and the text of both streams."""

    status: int
    stdout: str
    stderr: str


class Query(NamedTuple):
    """A command that changes nothing, and the seconds that it may take."""

    argv: Sequence[str]
    timeout: float = COMMAND_SECONDS


# What came of a query: how it ended, or why that is not known.
Answer = Result | OutcomeUnknownError


class Shell(Protocol):
    """Runs commands on one endpoint, as one user."""

    is_root: bool

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end.

        Raises:
            UnreachableError: it was not sent.
            OutcomeUnknownError: it was sent, and did not end within ``timeout`` seconds or its end
                was not heard.
        """


@runtime_checkable
class ManyHanded(Protocol):
    """A shell that can run several commands at the same time."""

    def ask_all(self, queries: Sequence[Query]) -> list[Answer]:
        """Run all of them; raises UnreachableError where one was not sent."""


def ask_all(shell: Shell, queries: Sequence[Query]) -> list[Answer]:
    """Run commands that change nothing, at the same time where the shell can.

    Raises:
        UnreachableError: not all were sent.
    """
    if isinstance(shell, ManyHanded):
        return shell.ask_all(queries)
    return [_ask(shell, query) for query in queries]


def _ask(shell: Shell, query: Query) -> Answer:
    try:
        return shell.run(query.argv, timeout=query.timeout)
    except OutcomeUnknownError as error:
        return error


@contextmanager
def open_shell(
    endpoint: Endpoint,
    ssh: Ssh,
    deadline: Deadline,
    connecting: Deadline | None = None,
    turns: Turns | None = None,
) -> Iterator[Shell]:
    """Open the shell of an endpoint and close it in the end.

    Local where the management address is this host's own, as a socket proves; over SSH otherwise,
    and then tried again, with growing pauses, for as long as nothing was sent.

    Args:
        endpoint: where.
        ssh: as whom.
        deadline: of all that is run there.
        connecting: of the connection, where others must not wait for it for as long.
        turns: taken by who answers, where there are many endpoints.

    Raises:
        ConfigurationError: identity or known hosts cannot be used.
        UnreachableError: nobody answers, or not in time.
        RejectedError: the host key or the login is refused.
    """
    from anycast_checks.address import Locality, locality

    if locality(endpoint.address) is Locality.LOCAL:
        from .local import LocalShell

        yield LocalShell(deadline)
        return
    shell = _Connection(endpoint, ssh, deadline, connecting, turns)
    try:
        yield shell
    finally:
        shell.close()


class _Connection:
    """A shell over SSH that survives the loss of its connection."""

    def __init__(
        self,
        endpoint: Endpoint,
        ssh: Ssh,
        deadline: Deadline,
        connecting: Deadline | None = None,
        turns: Turns | None = None,
    ) -> None:
        # paramiko takes longer to import than everything else together.
        from .ssh import SshShell

        self.is_root = ssh.user == "root"
        self._connect = partial(SshShell, endpoint, ssh, turns=turns)
        self._deadline = deadline
        connecting = connecting or deadline
        for pause in PAUSES:
            try:
                self._shell = self._connect(deadline, connecting)
            except UnreachableError:
                if connecting.left(pause) < pause:
                    raise
                time.sleep(pause)
            else:
                return
        self._shell = self._connect(deadline, connecting)

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        try:
            return self._shell.run(argv, stdin, timeout)
        except UnreachableError:
            # Nothing was sent, so it is safe to send it over a new connection; once, and soon,
            # since others may be waiting for the lock.
            self._shell.close()
            soon = Deadline(self._deadline.left(COMMAND_SECONDS))
            self._shell = self._connect(self._deadline, soon)
            return self._shell.run(argv, stdin, timeout)

    def ask_all(self, queries: Sequence[Query]) -> list[Answer]:
        """Run all of them at the same time; see ask_all."""
        in_time = Deadline(min(query.timeout for query in queries))
        answers = self._send_all(queries)
        lost = [
            q for q, a in zip(queries, answers, strict=True) if isinstance(a, OutcomeUnknownError)
        ]
        if in_time.passed or not lost:
            return answers
        # With the connection, or by a signal. The first one brings the connection back.
        again = iter([_ask(self, lost[0]), *self._send_all(lost[1:])])
        return [next(again) if isinstance(a, OutcomeUnknownError) else a for a in answers]

    def _send_all(self, queries: Sequence[Query]) -> list[Answer]:
        try:
            return self._shell.ask_all(queries) if queries else []
        except UnreachableError:
            # The connection is gone, or the endpoint's sshd allows one session only.
            return [_ask(self, query) for query in queries]

    def close(self) -> None:
        """Close the connection."""
        self._shell.close()
