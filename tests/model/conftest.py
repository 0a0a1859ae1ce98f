"""Says of each search how much it has searched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anycast_handlers.watch import response

from tests.model import running, watching
from tests.model.search import AGES, STOPS, Size, Stops
from tests.model.stepping import Node
from tests.model.world import TICK


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """Give the factor by which --all makes a search longer that has no end of its own."""
    return 10 if request.config.getoption("--all") else 1


@pytest.fixture
def ages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, ...]:
    """Give the ticks after which a late command begins: with --all it is any tick.

    The check of an endpoint ends at once or a tick later then, so that there is room for faults.
    """
    monkeypatch.setattr(running, "CONFIRM_TICKS", 1)
    return () if request.config.getoption("--all") else AGES


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a watcher ask ahead a tick before a failure is certain; forget what it has learnt."""
    monkeypatch.setattr(response, "AHEAD_OF", TICK)
    yield
    watching.forget()


@pytest.fixture
def stops(request: pytest.FixtureRequest) -> Stops:
    """Give the times for which a run is stopped: with --all they are many."""
    if not request.config.getoption("--all"):
        return STOPS
    return tuple((ticks, frozen) for ticks in range(2, 62, 4) for frozen in (False, True))


@pytest.fixture
def size(capsys: pytest.CaptureFixture[str]) -> Iterator[Size]:
    """Count how much is searched, and print it."""
    size, before = Size(), Node.made
    yield size
    with capsys.disabled():
        print(f"\n{size}, {Node.made - before} different steps of the operation")
