"""What the watcher says: each change, and not more than a person can read."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.decision.facts import Action, Decision, State, StateType
from anycast_handlers.endpoint.site import Step
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.evidence import Judgement
from anycast_handlers.watch.notify import Notify
from anycast_handlers.watch.pool import Pool
from anycast_handlers.watch.show import LINES_SECONDS, MOST_LINES, Show
from anycast_handlers.watch.target import Target

from tests.support.verbs import VERBS
from tests.unit.test_watch_response import FLEET, Now

DEAD = Judgement(State.CRITICAL, StateType.SOFT, "dead")
WELL = Judgement(State.OK, StateType.HARD, "well")


class Scene:
    """Two endpoints, and what is said of them."""

    def __init__(self, file: Path) -> None:
        file.write_text(FLEET)
        fleet = read_fleet(str(file))
        vip = fleet.vips[0]
        self.clock, self.lines = Now(), list[str]()
        self.show = Show(self.lines.append, (), Notify(), self.clock)
        self.targets = [Target(fleet, vip, endpoint) for endpoint in vip.endpoints]
        self.show.take(fleet, [Pool(fleet, vip, self.targets)])
        self.lines.clear()

    def judge(self, target: Target, judgement: Judgement) -> None:
        before, target.judgement = target.judgement, judgement
        self.show.judged(target, before)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "fleet.toml")


def test_an_endpoint_that_says_another_state_each_time_does_not_fill_the_log(scene: Scene) -> None:
    liar, honest, _ = scene.targets
    for number in range(1000):
        scene.clock.now = number / 100
        scene.judge(liar, (DEAD, WELL)[number % 2])
    assert len(scene.lines) == MOST_LINES
    assert scene.lines[-1].startswith("resolver ns1 changes all the time, so no more is said of it")
    scene.judge(honest, DEAD)
    assert scene.lines[MOST_LINES:] == ["resolver ns2 CRITICAL SOFT dead"]
    scene.clock.now += LINES_SECONDS
    scene.judge(liar, DEAD)
    assert scene.lines[-1] == "resolver ns1 CRITICAL SOFT dead"


def test_a_command_that_worked_at_the_second_try_is_no_complaint(scene: Scene) -> None:
    """An address of IPv6 that is tentative is taken off, and added once more."""
    target, *_ = scene.targets
    outcome = Outcome(Request(VERBS["restore"], target.vip, target.endpoint), scene.clock)
    outcome.decided(Decision(Action.RESTORE, "by-hand", "by hand", State.OK))
    add, other = ("/sbin/ip", "address", "add"), ("/sbin/ifup", "lo")
    outcome.steps = [
        Step(add, 2, "already assigned", 0.0),
        Step(other, 1, "no such thing", 0.0),
        Step(("mask", "networkd"), 1, "a file has it too", 0.0),
        Step(add, 0, "", 0.0),
    ]
    outcome.done("restored", State.OK)
    assert outcome.notes == ["/sbin/ifup lo: no such thing"]
