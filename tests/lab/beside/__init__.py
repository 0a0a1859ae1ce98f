"""Our checks beside those of monitoring-plugins, on the same servers: one table for each protocol.

A table is a module with a list ROWS and a list PROGRAMS, the plugins that it compares with. It is
asked in a bare network namespace (``python -m tests.lab.beside NAME``), so that its servers may
have the ports that the plugins insist on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

VIP = "10.99.0.53"
PLUGINS = "/usr/lib/nagios/plugins"
OK, WARNING, CRITICAL = 0, 1, 2


class Row(NamedTuple):
    """One input.

    Attributes:
        says: what the server does, in words for the table.
        right: the state that is right, judged by what clients of such a server get.
        server: makes the server, which yields its port.
        ours: the words behind check_anycast, without the address; PORT stands for the port.
        theirs: the plugins with their words; PORT and VIP stand for port and address.
    """

    says: str
    right: int
    server: Callable[[], AbstractContextManager[int]]
    ours: tuple[str, ...]
    theirs: tuple[tuple[str, ...], ...]


class Compared(NamedTuple):
    """What was said of one input; a plugin that was not asked is not among theirs."""

    says: str
    right: int
    ours: int
    theirs: dict[str, int]
    lines: dict[str, str]


def table(programs: list[str], compared: list[Compared]) -> list[str]:
    """Write the table, as it stands in docs/checks.rst: a wrong verdict has a star."""
    names = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}
    rows = [["input", "right", "ours", *(p.removeprefix("check_") for p in programs)]]
    for one in compared:
        states: list[int | None] = [one.ours, *(one.theirs.get(p) for p in programs)]
        said = ["-" if s is None else names[s] + "*" * (s != one.right) for s in states]
        rows.append([one.says, names[one.right], *said])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
