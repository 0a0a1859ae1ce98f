"""A thread that tells one engine, so that an engine that is away or slow delays nobody."""

from __future__ import annotations

import threading
import time

from anycast_checks.line import clean

from ...decision.facts import State
from ..board import EngineState
from .known import ASK_PAUSE, Others
from .outbox import Outbox
from .report import HEALTH, RANK, WATCHER, NotToldError, RefusedReportError, Report, Way

# Pauses in seconds after the engine could not be told: the first, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
# An engine that is silent for longer than this is in trouble, even if the request goes on.
SLOW = 6.0
CLOSING = 1.0
# Seconds until it is asked again whether it answers this user.
REFUSED_PAUSE = 60.0


class Teller:
    """An `Engine`, whatever the way to it.

    Args:
        name: the engine's name for people.
        way: the way to it.
        attempts: how often a change is passed on.
        watcher: the host in the engine that has the service of the watcher.
        rank: the rank of this watcher. It reports on endpoints only while no watcher of a smaller
            rank does, as far as the engine knows.
    """

    def __init__(self, name: str, way: Way, attempts: int, watcher: str, rank: int = 0) -> None:
        self._name = name
        self._way = way
        self._watcher = watcher
        self._rank = rank
        self._others = Others(watcher, rank)
        # It is replaced and never changed, since another thread reads it.
        self._in_downtime: frozenset[tuple[str, str]] = frozenset()
        self._ask_at = 0.0
        self._has_asked = False
        self._may_not_ask = ""
        self._outbox = Outbox(attempts)
        # The lock is never kept while the engine is told.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"tell {name}", daemon=True)
        self._is_closed = False
        self._told = 0
        self._away = ""
        # It is replaced and never changed, since another thread reads it.
        self._refused: dict[str, str] = {}
        self._asked_at: float | None = None

    def start(self) -> None:
        """Begin to tell the engine."""
        self._thread.start()

    def tell(self, report: Report) -> None:
        """Say what a service is now; see `Engine`."""
        if report.service != WATCHER and self._is_led():
            return
        with self._changed:
            if self._outbox.put(report, time.monotonic()):
                self._changed.notify()

    def alive(self, state: State, text: str, at: float) -> None:
        """Say that the watcher is alive, and how it is."""
        self.tell(Report(self._watcher, WATCHER, state, text, at, f"{RANK}={self._rank}"))

    def in_downtime(self, endpoint: str, vip: str) -> bool:
        """Whether a health service is in a downtime, as far as is known; see `Engine`."""
        return (endpoint, HEALTH + vip) in self._in_downtime

    def leader(self) -> str:
        """Name the host whose watcher reports instead of this one; see `Engine`."""
        return self._others.leader(time.monotonic())

    def state(self) -> EngineState:
        """Give its name, how much it was told, and what is wrong."""
        asked_at = self._asked_at
        trouble = self._away
        if not trouble and asked_at is not None and time.monotonic() - asked_at > SLOW:
            trouble = "does not answer"
        if not trouble and self._thread.ident and not self._thread.is_alive():
            trouble = "its thread has ended"
        refused = self._refused
        if not trouble and refused:
            others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            trouble = next(iter(refused.values())) + others
        trouble = trouble or self._may_not_ask
        return EngineState(self._name, self._told, clean(trouble))

    def close(self) -> None:
        """End within a second; what was not passed on yet is dropped."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._way.abort()
        if self._thread.ident:
            self._thread.join(CLOSING)

    def _run(self) -> None:
        try:
            self._tell_all()
        finally:
            self._way.close()

    def _tell_all(self) -> None:
        pause = FIRST_PAUSE
        while not self._is_closed:
            report = self._next()
            try:
                if report is not None:
                    self._send(report)
                elif not self._is_closed:
                    self._ask()
            except NotToldError as error:
                self._away = str(error)
                if report is not None:
                    with self._changed:
                        self._outbox.give_back(report, time.monotonic())
                self._rest(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._away = ""
                pause = FIRST_PAUSE

    def _next(self) -> Report | None:
        """Wait for the next report that is due; None at the end, and where a question is due."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                if now >= self._ask_at and not self._outbox.has_changes(now):
                    return None
                report = self._outbox.take(now)
                if report is not None:
                    return report
                wait = min(self._outbox.next_at(), self._ask_at) - now
                self._changed.wait(max(0.0, wait))
        return None

    def _is_led(self) -> bool:
        """Whether another watcher reports; it is taken to do so until the engine was asked."""
        if self._rank == 0:
            return False
        return not self._has_asked or self.leader() != ""

    def _ask(self) -> None:
        """Ask what the engine knows; what it said last stays where it gives no answer."""
        self._asked_at = time.monotonic()
        self._ask_at = self._asked_at + ASK_PAUSE
        try:
            known = self._way.ask(watchers=self._rank > 0)
        except RefusedReportError as error:
            self._may_not_ask = str(error)
            self._ask_at += REFUSED_PAUSE
        else:
            self._may_not_ask = ""
            self._in_downtime = known.in_downtime
            self._others.hear(known.watchers, time.monotonic())
        finally:
            self._asked_at = None
        self._has_asked = True

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while not self._is_closed and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def _send(self, report: Report) -> None:
        service = f"{report.host}!{report.service}"
        self._asked_at = time.monotonic()
        try:
            self._way.send(report)
        except RefusedReportError as error:
            self._refused = {**self._refused, service: str(error)}
        else:
            self._told += 1
            if service in self._refused:
                self._refused = {k: v for k, v in self._refused.items() if k != service}
        finally:
            self._asked_at = None
