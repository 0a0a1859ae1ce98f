"""What an engine has to be told next, and when: no thread, no clock, no engine."""

from __future__ import annotations

import heapq
from itertools import count

from .report import FRESH, REPEAT, Report

# A host and a service of the engine; and the turn of one: its time, a running number, the service.
Key = tuple[str, str]
Turn = tuple[float, int, Key]
# Seconds between two changes of a service that are passed on, however often an endpoint changes.
PAUSE = 1.0
# Into so many parts of an interval the repetitions are spread.
SPREAD = 16


class _Service:
    """One service; ``left`` says how often its present state is still to be passed on at once."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.heard = 0.0
        self.changed = float("-inf")
        self.left = 0
        self.turn = 0


class Outbox:
    """The newest report of each service, with its turns. All times are monotonic, in seconds.

    It has one report a service, so its size is bounded by the fleet file. A change has its turn
    before what is only repeated.

    Args:
        attempts: how often a change is passed on.
    """

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._services: dict[Key, _Service] = {}
        # Of the turns of a service only the last one counts.
        self._changes: list[Turn] = []
        self._repeats: list[Turn] = []
        self._numbers = count(1)

    def put(self, report: Report, now: float) -> bool:
        """Take the newest report on a service; returns whether it is a change.

        A service of which nothing was heard for some time counts as changed, since the engine has
        asked by itself meanwhile.
        """
        key = (report.host, report.service)
        service = self._services.get(key)
        if service is None:
            service = self._services[key] = _Service(report)
            changed = True
        else:
            changed = service.report.state is not report.state or now - service.heard > FRESH
        service.report, service.heard = report, now
        if changed:
            at = max(now, service.changed + PAUSE)
            service.changed, service.left = at, self._attempts
            self._turn(self._changes, at, key)
        return changed

    def take(self, now: float) -> Report | None:
        """Give what is to be passed on now, if anything, and count it as passed on."""
        for turns in (self._changes, self._repeats):
            while self._next_at(turns) <= now:
                key = heapq.heappop(turns)[2]
                service = self._services[key]
                if now - service.heard > FRESH:
                    service.left = 0
                    continue
                service.left = max(0, service.left - 1)
                if service.left:
                    self._turn(self._changes, now, key)
                else:
                    self._turn(self._repeats, now + self._pause(turns), key)
                return service.report
        return None

    def give_back(self, report: Report, now: float) -> None:
        """Undo `take`, because the engine could not be told."""
        key = (report.host, report.service)
        service = self._services[key]
        service.left = min(self._attempts, service.left + 1)
        self._turn(self._changes, max(now, service.changed), key)

    def has_changes(self, now: float) -> bool:
        """Whether a change has its turn, and not only what is repeated."""
        return self._next_at(self._changes) <= now

    def next_at(self) -> float:
        """Give the time of the next turn, infinity where there is none."""
        return min(self._next_at(self._changes), self._next_at(self._repeats))

    def _pause(self, turns: list[Turn]) -> float:
        # Services that have changed together, as all have at a start, are not repeated together.
        part = next(self._numbers) % SPREAD + 1 if turns is self._changes else SPREAD
        return REPEAT * part / SPREAD

    def _turn(self, turns: list[Turn], at: float, key: Key) -> None:
        number = next(self._numbers)
        self._services[key].turn = number
        heapq.heappush(turns, (at, number, key))

    def _next_at(self, turns: list[Turn]) -> float:
        while turns and self._services[turns[0][2]].turn != turns[0][1]:
            heapq.heappop(turns)
        return turns[0][0] if turns else float("inf")
