"""What an engine is told: the state of one of its services, and who tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...decision.facts import State
from ...errors import HandlerError
from ..board import EngineState

if TYPE_CHECKING:
    from .known import Known

# The names that the rules of icinga2-templates/ give to the services.
HEALTH, CONTROL, WATCHER = "anycast-health-", "anycast-control-", "anycast-watcher"
# The performance data of the watcher's own report: its rank among those that watch.
RANK = "rank"
# Seconds between two results of a service whose state stays the same.
REPEAT = 10.0
# A report that is older (seconds) is not repeated.
FRESH = 8.0
# After so many seconds without a result the engine's own check runs. Two results may be missed.
TTL = 25.0


class Report(NamedTuple):
    """The state of one service of an engine.

    ``host`` and ``service`` are the engine's names; ``at`` is when the evidence was taken (wall
    clock); ``perfdata`` has performance data in the form of a plugin's output.
    """

    host: str
    service: str
    state: State
    text: str
    at: float
    perfdata: str = ""


def health(endpoint: str, vip: str, state: State, text: str, at: float) -> Report:
    """Make the report on the service that asks whether this endpoint answers rightly."""
    return Report(endpoint, HEALTH + vip, state, text, at)


def control(endpoint: str, vip: str, state: State, text: str, at: float) -> Report:
    """Make the report on the service that asks whether the VIP is as it should be there."""
    return Report(endpoint, CONTROL + vip, state, text, at)


class NotToldError(HandlerError):
    """The engine could not be told; another time it may work."""


class RefusedReportError(HandlerError):
    """The engine does not take this report, and others perhaps; saying it again is of no use."""


class Way(Protocol):
    """The way to one engine. Only `abort` may be called by another thread than the rest."""

    def send(self, report: Report) -> None:
        """Pass on a report, within some seconds.

        Raises:
            NotToldError: the engine does not answer.
            RefusedReportError: the engine refuses the report.
        """

    def ask(self, *, watchers: bool) -> Known:
        """Ask what the engine knows, about watchers only where these are wanted; within seconds.

        Raises:
            NotToldError: the engine does not answer.
            RefusedReportError: the engine does not let this user ask.
        """

    def close(self) -> None:
        """Let go of the engine."""

    def abort(self) -> None:
        """End a `send` that waits, and let each later one fail at once."""


class Engine(Protocol):
    """An engine that is told, by a thread of its own; no method waits for the engine."""

    def start(self) -> None:
        """Begin to tell it."""

    def tell(self, report: Report) -> None:
        """Say what a service is now: at each change, and at least every 5 s as long as it is known.

        Only a state that is certain may be said, since it is made HARD: a change is passed on at
        once, as often as the service has attempts, and a state that stays the same every 10 s. What
        is not said again within 8 s is not repeated: so nothing is passed on for a stream that is
        lost, or by a watcher that hangs.
        """

    def alive(self, state: State, text: str, at: float) -> None:
        """Say that the watcher is alive, and how it is: every 5 s at least, from its main loop."""

    def in_downtime(self, endpoint: str, vip: str) -> bool:
        """Whether the engine said last that the health service, or its host, is in a downtime."""

    def leader(self) -> str:
        """Name the host whose watcher reports instead of this one; empty where this one does."""

    def state(self) -> EngineState:
        """Give its name, how much it was told, and what is wrong; a safe text."""

    def close(self) -> None:
        """End within a second; what was not passed on yet is dropped."""
