"""A shell of an endpoint that exists only in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from anycast_handlers.transport.shell import (
    COMMAND_SECONDS,
    Hear,
    Query,
    Reply,
    Result,
    Stream,
    ask_in_turn,
)


class Asked(NamedTuple):
    """One command as the endpoint was asked to run it."""

    argv: tuple[str, ...]
    stdin: str
    timeout: float


# How the command ends, or the error that is raised instead.
Said = Result | Exception
Table = Mapping[tuple[str, ...], Said]


class FakeShell:
    """Gives the answers of a test, and records each command in ``asked``.

    Args:
        answers: the answer to each argv, or a function that gives the answer.
        is_root: whether commands run as root on the endpoint, so that none needs sudo.
    """

    def __init__(self, answers: Table | Callable[[Asked], Said], *, is_root: bool = True) -> None:
        self.is_root = is_root
        self.distance, self.expiring = 0.0, ""
        self.asked: list[Asked] = []
        self._answers = answers

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Give the answer to one command; a command without an answer fails the test."""
        asked = Asked(tuple(argv), stdin, timeout)
        self.asked.append(asked)
        if callable(self._answers):
            said = self._answers(asked)
        else:
            assert asked.argv in self._answers, f"the test has no answer to {asked.argv}"
            said = self._answers[asked.argv]
        if isinstance(said, Exception):
            raise said
        return said

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Give the answers to several commands, one after the other."""
        return ask_in_turn(self, queries)

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Give the lines of the answer to one command, which then has ended."""
        for line in (*self.run(argv).stdout.splitlines(), None):
            hear(line)
        return FakeStream()


class FakeStream:
    """A command that has ended."""

    trouble = ""

    def close(self) -> None:
        """Do nothing."""
