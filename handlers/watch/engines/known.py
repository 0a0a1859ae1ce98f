"""What an engine knows and the watcher does not: downtimes, and the watchers of other hosts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .report import REPEAT

# Seconds between two questions to an engine.
ASK_PAUSE = 5.0
# A watcher of which the engine has heard nothing new for so long is silent.
SILENT = REPEAT + 2 * ASK_PAUSE


class Seen(NamedTuple):
    """A watcher as an engine shows it; ``told_at`` is the time of its last report, by its clock."""

    host: str
    rank: int
    told_at: float


class Known(NamedTuple):
    """What an engine knows: the services that are in a downtime, and the watchers."""

    in_downtime: frozenset[tuple[str, str]] = frozenset()
    watchers: tuple[Seen, ...] = ()


class Others:
    """Tells whether the watcher of another host goes first; no two clocks are compared.

    Args:
        here: the host of this watcher in the engine.
        rank: the rank of this watcher.
    """

    def __init__(self, here: str, rank: int) -> None:
        self._here = here
        self._rank = rank
        # Of each one that goes first: its last report, and when that was new here. It is replaced
        # and never changed, since another thread reads it.
        self._news: dict[str, tuple[float, float]] = {}

    def hear(self, watchers: Iterable[Seen], now: float) -> None:
        """Take what the engine shows at a moment."""
        news = {}
        for one in watchers:
            if one.host != self._here and one.rank < self._rank:
                before = self._news.get(one.host)
                is_same = before and before[0] == one.told_at
                news[one.host] = before if before and is_same else (one.told_at, now)
        self._news = news

    def leader(self, now: float) -> str:
        """Name the host of a watcher that goes first and is not silent; empty where none does."""
        alive = [host for host, (_, new) in self._news.items() if now - new < SILENT]
        return min(alive, default="")
