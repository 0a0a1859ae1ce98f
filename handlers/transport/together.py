"""Several questions in one command, where the forced command of the account takes several.

A session costs the endpoint more than most questions do. The forced command runs them one after
the other, and marks where the output of each one ends.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence

from ..errors import OutcomeUnknownError
from .channel import DRAIN_SECONDS, ENDED, LONGEST_DRAIN, Channel, drain, receive, text
from .clock import SYSTEM_CLOCK, Deadline
from .shell import LARGEST_OUTPUT, Argv, Query, Reply, Result

ASK = "anycast-ask"
# What the forced command takes at most.
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

    def hear(self, channel: Channel, ends: Sequence[Deadline]) -> list[Reply] | None:
        """Wait for the end of each question, until its own deadline.

        Returns:
            The replies, up to that of the first question that does not end in time. None where
            there is no forced command that takes several.

        Raises:
            OutcomeUnknownError: nothing was answered, and it is not known why.
        """
        while (number := len(self._answered)) < len(self._queries):
            until = ends[number]
            channel.settimeout(until.left(until.seconds))
            try:
                data = channel.recv(LARGEST_OUTPUT)
            except TimeoutError:
                return [*self._replies(channel), self._unheard(until)]
            if not data and not number:
                receive(channel, self.argv, until)
                return None
            if not data:
                lost = self._queries[number:]
                return [
                    *self._replies(channel),
                    *(OutcomeUnknownError(q.argv, ENDED) for q in lost),
                ]
            self._feed(data)
            if len(self._answered) == number and (until.passed or len(self._kept) > LARGEST_OUTPUT):
                return [*self._replies(channel), self._unheard(until)]
        return self._replies(channel)

    def _feed(self, data: bytes) -> None:
        # The end of an answer may come in two pieces.
        begin = max(0, len(self._kept) - len(self._error_end) - len(" 255"))
        self._kept += data
        while end := self._end.search(self._kept, begin):
            self._answered.append((int(end[1]), bytes(self._kept[: end.start()])))
            del self._kept[: end.end()]
            begin = 0

    def _unheard(self, until: Deadline) -> OutcomeUnknownError:
        argv = self._queries[len(self._answered)].argv
        return OutcomeUnknownError(argv, f"it did not end within {until.seconds:.1f} s")

    def _replies(self, channel: Channel) -> list[Reply]:
        # Where a question hangs, nothing more is waited for.
        is_complete = len(self._answered) == len(self._queries)
        channel.settimeout(DRAIN_SECONDS if is_complete else 0.0)
        printed = drain(channel.recv_stderr, Deadline(SYSTEM_CLOCK, LONGEST_DRAIN))
        errors = printed.split(self._error_end) + len(self._queries) * [b""]
        return [
            Result(status, text(output), text(error))
            for (status, output), error in zip(self._answered, errors, strict=False)
        ]
