"""Several questions in one command, where the forced command of the account takes several.

A session costs the endpoint more than most questions do. The forced command runs them one after
the other, and marks where the output of each one ends.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from contextlib import suppress

from ..errors import OutcomeUnknownError
from .channel import DRAIN_SECONDS, ENDED, LONGEST_DRAIN, Channel, receive, text
from .clock import SYSTEM_CLOCK, Deadline
from .shell import LARGEST_OUTPUT, Argv, Query, Reply, Result

ASK = "anycast-ask"
# The forced command takes so many questions at most.
MOST = 32
# All lines are quoted together, so that a quote in one of them is sent as the other kind of quote.
LINE = re.compile(r"[ !#-~]+")
# Bytes of random text, which no output has in it by chance.
MARK_BYTES = 8


def may_be_together(query: Query) -> bool:
    """Whether a question may be one of several: others would have to wait for one that lasts."""
    return not query.takes_long and LINE.fullmatch(shlex.join(query.argv)) is not None


class Together:
    """One command that asks several questions, at most MOST, and what is answered."""

    def __init__(self, queries: Sequence[Query]) -> None:
        """Ask these questions, in this order."""
        mark = secrets.token_hex(MARK_BYTES)
        lines = "\n".join(shlex.join(query.argv) for query in queries)
        self.argv: Argv = (ASK, mark, lines.replace("'", '"'))
        self._queries = queries
        self._end = re.compile(rb"\n%s ([0-9]{1,3})\n" % mark.encode())
        self._error_end = b"\n%s\n" % mark.encode()
        # The exit status and the output of each question that has ended.
        self._answered: list[tuple[int, bytes]] = []
        self._kept = bytearray()
        self._errors = bytearray()
        self._has_ended = False

    def hear(self, channel: Channel, ends: Sequence[Deadline]) -> list[Reply] | None:
        """Wait for the end of each question, until its own deadline.

        Returns:
            The replies. Where a question takes half of the time that is left, or prints too much,
            only those before it: those behind it are asked in another session, while `hear_late`
            waits for its end. None where there is no forced command that takes several.

        Raises:
            OutcomeUnknownError: nothing was answered, and it is not known why.
        """
        while (number := len(self._answered)) < len(self._queries):
            until = ends[number]
            is_last = number == len(self._queries) - 1
            # Half of the time is left for those behind it.
            patience = until if is_last else until.within(until.left(until.seconds) / 2)
            if self._hear_next(channel, patience):
                continue
            if not self._has_ended:
                return self._replies(channel)
            if not number:
                receive(channel, self.argv, until)
                return None
            lost = (OutcomeUnknownError(query.argv, ENDED) for query in self._queries[number:])
            return [*self._replies(channel), *lost]
        return self._replies(channel)

    def hear_late(self, channel: Channel, until: Deadline) -> list[Reply]:
        """Go on waiting for the next question; its reply alone is returned."""
        number = len(self._answered)
        if self._hear_next(channel, until):
            return self._replies(channel)[number : number + 1]
        argv = self._queries[number].argv
        return [OutcomeUnknownError(argv, ENDED) if self._has_ended else unheard(argv, until)]

    def _hear_next(self, channel: Channel, until: Deadline) -> bool:
        """Hear until another question has ended; False where none has in time."""
        number = len(self._answered)
        while len(self._answered) == number:
            if self._has_ended or len(self._kept) > LARGEST_OUTPUT:
                return False
            channel.settimeout(until.left(until.seconds))
            try:
                data = channel.recv(LARGEST_OUTPUT)
            except TimeoutError:
                return False
            self._has_ended = not data
            self._feed(data)
            if until.passed:
                break
        return len(self._answered) > number

    def _feed(self, data: bytes) -> None:
        # The end of an answer may come in two pieces.
        begin = max(0, len(self._kept) - len(self._error_end) - len(" 255"))
        self._kept += data
        # An endpoint may send more behind the last answer, which nobody has asked for.
        while len(self._answered) < len(self._queries):
            if not (end := self._end.search(self._kept, begin)):
                break
            self._answered.append((int(end[1]), bytes(self._kept[: end.start()])))
            del self._kept[: end.end()]
            begin = 0

    def _replies(self, channel: Channel) -> list[Reply]:
        self._hear_errors(channel)
        errors = self._errors.split(self._error_end) + len(self._queries) * [bytearray()]
        return [
            Result(status, text(output), text(bytes(error)))
            for (status, output), error in zip(self._answered, errors, strict=False)
        ]

    def _hear_errors(self, channel: Channel) -> None:
        """Hear the errors of what has answered; behind the last answer, to the end of the command.

        sshd has no room for another session, where it allows few, before the command has ended.
        """
        channel.settimeout(DRAIN_SECONDS)
        patience = Deadline(SYSTEM_CLOCK, LONGEST_DRAIN)
        is_complete = len(self._answered) == len(self._queries)
        with suppress(TimeoutError):
            while is_complete or self._errors.count(self._error_end) < len(self._answered):
                data = channel.recv_stderr(LARGEST_OUTPUT)
                self._errors += data
                if not data or len(self._errors) > LARGEST_OUTPUT or patience.passed:
                    break


def unheard(argv: Sequence[str], until: Deadline) -> OutcomeUnknownError:
    """Give the reply to a question that has not ended in time."""
    return OutcomeUnknownError(argv, f"it did not end within {until.seconds:.1f} s")
