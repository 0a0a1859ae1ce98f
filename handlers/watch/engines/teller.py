"""A thread that tells one engine, so that an engine that is away or slow delays nobody."""

from __future__ import annotations

import threading
import time

from anycast_checks.line import clean

from ...decision.facts import State
from ..board import EngineState
from .outbox import Outbox
from .report import WATCHER, NotToldError, RefusedReportError, Report, Way

# Pauses in seconds after the engine could not be told: the first, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
# An engine that is silent for longer than this is in trouble, even if the request goes on.
SLOW = 6.0
CLOSING = 1.0


class Teller:
    """An `Engine`, whatever the way to it.

    Args:
        name: the engine's name for people.
        way: the way to it.
        attempts: how often a change is passed on.
        watcher: the host in the engine that has the service of the watcher.
    """

    def __init__(self, name: str, way: Way, attempts: int, watcher: str) -> None:
        self._name = name
        self._way = way
        self._watcher = watcher
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
        with self._changed:
            if self._outbox.put(report, time.monotonic()):
                self._changed.notify()

    def alive(self, text: str, at: float) -> None:
        """Say that the watcher is alive."""
        self.tell(Report(self._watcher, WATCHER, State.OK, text, at))

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
        while (report := self._next()) is not None:
            try:
                self._send(report)
            except NotToldError as error:
                self._away = str(error)
                with self._changed:
                    self._outbox.give_back(report, time.monotonic())
                self._rest(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._away = ""
                pause = FIRST_PAUSE

    def _next(self) -> Report | None:
        """Wait for the next report that is due; None at the end."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                report = self._outbox.take(now)
                if report is not None:
                    return report
                wait = self._outbox.next_at() - now
                self._changed.wait(None if wait == float("inf") else max(0.0, wait))
        return None

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
