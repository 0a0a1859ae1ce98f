"""All engines together: who reports to each of them, and which one cannot be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...decision.facts import State
from ..board import EngineState
from .report import Engine, Report


class Told:
    """The engines that the watcher tells; only its main loop changes what they know."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines
        self._leaders = self._troubles = ("",) * len(engines)

    @property
    def states(self) -> tuple[EngineState, ...]:
        """The state of each engine."""
        return tuple(engine.state() for engine in self._engines)

    @property
    def led(self) -> list[str]:
        """Say of each engine to which another watcher reports which one does."""
        pairs = zip(self._engines, self._leaders, strict=True)
        return [_hears_by(engine, leader) for engine, leader in pairs if leader]

    @property
    def troubles(self) -> list[str]:
        """Say of each engine that cannot be told why, as of the last call of `other_troubles`."""
        return [trouble for trouble in self._troubles if trouble]

    def tell(self, report: Report) -> None:
        """Pass on the state of a service."""
        for engine in self._engines:
            engine.tell(report)

    def alive(self, state: State, text: str, at: float) -> None:
        """Pass on how the watcher itself is."""
        for engine in self._engines:
            engine.alive(state, text, at)

    def in_downtime(self, endpoint: str, vip: str) -> bool:
        """Whether an engine says that the service is in a downtime."""
        return any(engine.in_downtime(endpoint, vip) for engine in self._engines)

    def other_leaders(self) -> Iterator[str]:
        """Say of each engine to which another watcher reports than a moment ago which one does."""
        before = self._leaders
        self._leaders = tuple(engine.leader() for engine in self._engines)
        for engine, was, now in zip(self._engines, before, self._leaders, strict=True):
            if now != was:
                yield _hears_by(engine, now)

    def other_troubles(self, is_alike: Callable[[str, str], bool]) -> Iterator[tuple[str, str]]:
        """Say of each engine whether it can be told, where that has changed.

        Yields the name of the engine and the line. An engine that is not told tells nobody.
        """
        before, states = self._troubles, self.states
        self._troubles = tuple(
            f"{one.name} is not told: {one.trouble}" if one.trouble else "" for one in states
        )
        for state, was, now in zip(states, before, self._troubles, strict=True):
            if not is_alike(now, was):
                yield state.name, now or f"{state.name} is told again"


def _hears_by(engine: Engine, leader: str) -> str:
    whose = f"the watcher on {leader}" if leader else "this watcher again"
    return f"{engine.state().name} hears of the endpoints by {whose}"
