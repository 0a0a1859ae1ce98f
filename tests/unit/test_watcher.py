"""The main loop of the watcher: what it costs where there are many endpoints."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from anycast_handlers.decision.facts import State, StateType
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.acts import Acted
from anycast_handlers.watch.evidence import Judgement
from anycast_handlers.watch.line import read as read_line
from anycast_handlers.watch.notify import Notify
from anycast_handlers.watch.response import MOST_LOOKS
from anycast_handlers.watch.show import Show
from anycast_handlers.watch.target import Target
from anycast_handlers.watch.watcher import ROUND_SECONDS, Wake, Watcher

from tests.unit.test_watch_evidence import beat, hello
from tests.unit.test_watch_response import FLEET, Now

MANY = 300


def read(file: Path) -> tuple[Fleet, list[Target]]:
    """Read a fleet file with many endpoints."""
    head, table, _ = FLEET.partition("[vip.resolver.endpoints]\n")
    lines = [f'ns{number} = "10.0.{number // 250}.{number % 250}"' for number in range(MANY)]
    file.write_text(head + table + "\n".join(lines))
    fleet = read_fleet(str(file))
    (vip,) = fleet.vips
    return fleet, [Target(fleet, vip, endpoint) for endpoint in vip.endpoints]


class Scene:
    """A watcher of many endpoints, which are never connected to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = Now()
        fleet, self.targets = read(file)
        show = Show(lambda _text: None, (), Notify(), self.clock)
        self.watcher = Watcher(fleet, self.targets, self.clock, show)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "fleet.toml")


def test_a_reload_compares_each_endpoint_with_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared with all others, a thousand of them kept the watcher from acting for 20 s."""
    compared = 0
    is_same = Target.is_same

    def count(one: Target, other: Target) -> bool:
        nonlocal compared
        compared += 1
        return is_same(one, other)

    monkeypatch.setattr(Target, "is_same", count)
    scene.watcher.reload(*read(scene.file))
    assert scene.watcher._targets == scene.targets
    assert compared == MANY


def test_what_is_down_for_long_costs_little(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each line of any other endpoint, all of them took the whole of a processor."""
    considered: list[Target] = []
    responses = scene.watcher._responses
    responses.hot.update(scene.targets)
    monkeypatch.setattr(responses, "consider", lambda target, _now: considered.append(target))
    monkeypatch.setattr(scene.watcher._streams, "open_due", lambda _now: None)
    for number in range(1000):
        scene.clock.now = number / 1000
        scene.watcher.events.put(Wake())
        scene.watcher.turn()
    assert set(considered) == set(scene.targets)
    assert len(considered) <= 4 * MANY


def test_a_stream_that_falls_silent_is_lost_in_time_though_the_watcher_rests(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In peace nothing wakes the main loop for long; a stream is lost 3.2 s after its last line."""
    waits: list[float] = []
    lost: list[float] = []
    watcher, first = scene.watcher, scene.targets[0]
    monkeypatch.setattr(watcher._streams, "_due", deque())

    def take(seconds: float) -> list[object]:
        waits.append(seconds)
        return []

    monkeypatch.setattr(watcher.events, "take", take)
    monkeypatch.setattr(watcher, "_lose", lambda *_, **__: lost.append(scene.clock.now))
    for target in scene.targets:
        target.next_look = float("inf")
        target.evidence.hear(read_line(hello(0.0)), 0.0)
    while not lost:
        scene.clock.now += waits[-1] if waits else 0.0
        for target in scene.targets[1:]:
            target.evidence.hear(read_line(beat(scene.clock.now)), scene.clock.now)
        watcher.turn()
    assert lost == [pytest.approx(3.2)]
    assert max(waits) > 4 * ROUND_SECONDS, waits
    assert first.evidence.is_lost(lost[0])


def test_what_cannot_be_looked_at_keeps_no_look_from_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host with several VIPs that is unreachable stood before all others, for good."""
    looked: list[Target] = []
    watcher = scene.watcher
    monkeypatch.setattr(watcher._streams, "open_due", lambda _now: None)
    monkeypatch.setattr(
        watcher._responses._acts, "begin", lambda _fleet, target, *_, **__: looked.append(target)
    )

    def take(seconds: float) -> list[object]:
        scene.clock.now += max(seconds, 0.01)
        return []

    monkeypatch.setattr(watcher.events, "take", take)
    unknown, well = scene.targets[:20], scene.targets[20 : 20 + MOST_LOOKS]
    for target in scene.targets:
        target.next_look = 0.0 if target in unknown else float("inf")
    for target in well:
        target.judgement = Judgement(State.OK, StateType.HARD, "well", present=True)
        target.next_look = 1.0
    while scene.clock.now < 5.0:
        watcher.turn()
    assert looked == well


def test_the_others_are_reconsidered_at_once_when_an_act_has_ended(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    considered: list[Target] = []
    responses = scene.watcher._responses
    responses.hot.update(scene.targets)
    monkeypatch.setattr(responses, "consider", lambda target, _now: considered.append(target))
    monkeypatch.setattr(scene.watcher._streams, "open_due", lambda _now: None)
    scene.watcher.events.put(Wake())
    scene.watcher.turn()
    considered.clear()
    first = scene.targets[0]
    scene.watcher.events.put(Acted(first, None, False, 0.0, None, None))  # noqa: FBT003
    scene.watcher.turn()
    assert set(considered) == set(scene.targets)
