"""What the watcher says: each change, and not more than a person can read."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.decision.facts import Action, Decision, State, StateType
from anycast_handlers.endpoint.site import Step
from anycast_handlers.errors import DONE, REFUSED
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.acts import Acted
from anycast_handlers.watch.board import EngineState
from anycast_handlers.watch.engines.report import Report
from anycast_handlers.watch.evidence import Judgement
from anycast_handlers.watch.hearing import DEAF_SECONDS
from anycast_handlers.watch.notify import Notify
from anycast_handlers.watch.pace import LOOK_SECONDS
from anycast_handlers.watch.pool import Pool
from anycast_handlers.watch.show import LINES_SECONDS, MOST_LINES, Show
from anycast_handlers.watch.target import Target

from tests.support.verbs import VERBS
from tests.unit.test_watch_response import FLEET, Now

DEAD = Judgement(State.CRITICAL, StateType.SOFT, "dead")
WELL = Judgement(State.OK, StateType.HARD, "well")
NOT_HEARD = Judgement(State.UNKNOWN, StateType.HARD, "its stream fell silent")


class Told:
    """An engine that remembers what it was told."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.self_reports: list[tuple[State, str]] = []
        self.led_by = self.trouble = ""
        self.downtimes: set[tuple[str, str]] = set()

    def start(self) -> None: ...
    def close(self) -> None: ...
    def tell(self, report: Report) -> None:
        self.reports.append(report)

    def alive(self, state: State, text: str, at: float) -> None:
        self.self_reports.append((state, text))

    def in_downtime(self, endpoint: str, vip: str) -> bool:
        return (endpoint, vip) in self.downtimes

    def leader(self) -> str:
        return self.led_by

    def state(self) -> EngineState:
        return EngineState("icinga", 0, self.trouble)


class Status(Notify):
    """Remembers what systemd is told of the main loop."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def alive(self, status: str) -> None:
        self.said.append(status)


class Scene:
    """Three endpoints, and what is said of them."""

    def __init__(self, file: Path) -> None:
        file.write_text(FLEET)
        fleet = read_fleet(str(file))
        vip = fleet.vips[0]
        self.clock, self.lines, self.engine = Now(), list[str](), Told()
        status = Status()
        self.statuses = status.said
        self.show = Show(self.lines.append, (self.engine,), status, self.clock)
        self.targets = [Target(fleet, vip, endpoint) for endpoint in vip.endpoints]
        self.show.take(fleet, [Pool(fleet, vip, self.targets)])
        self.lines.clear()

    def judge(self, target: Target, judgement: Judgement) -> None:
        before, target.judgement = target.judgement, judgement
        self.show.judged(target, before)

    def round(self, at: float) -> tuple[State, str]:
        """Let time pass; gives what the engine hears of the watcher itself then."""
        self.clock.now = at
        self.show.round(at)
        return self.engine.self_reports[-1]

    def refused(self, target: Target, text: str) -> None:
        """Let an act be refused by a hold."""
        outcome = Outcome(Request(VERBS["enforce"], target.vip, target.endpoint), self.clock)
        outcome.conclude(Decision(Action.REFUSE, "held", text, State.CRITICAL))
        self._acted(outcome, target)

    def withdrawn(self, target: Target) -> None:
        """Let an act be done."""
        outcome = Outcome(Request(VERBS["enforce"], target.vip, target.endpoint), self.clock)
        outcome.decided(Decision(Action.WITHDRAW, "withdraw", "so", State.CRITICAL))
        outcome.verify("address", found=True)
        outcome.done("withdrawn", State.WARNING)
        self._acted(outcome, target)

    def _acted(self, outcome: Outcome, target: Target) -> None:
        nothing = {"certain_since": None, "failing_since": None}
        self.show.acted(Acted(target, outcome, is_look=False, began=0.0, **nothing), outcome)


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


def test_an_engine_is_told_the_address_once(scene: Scene) -> None:
    text = "10.99.0.53 announced: www.example.org A: 192.0.2.80 in 0.4 ms"
    scene.judge(scene.targets[0], WELL._replace(text=text))
    assert [one.text for one in scene.engine.reports] == [text]


def test_an_engine_is_told_no_look_of_long_ago_as_one_of_now(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take it for new, and its own check, which looks too, would never run."""
    monkeypatch.setattr(scene.clock, "time", lambda: scene.clock.now)
    target, other = scene.targets[:2]
    for one in (target, other):
        scene.judge(one, WELL)
        one.control = (State.OK, "looked at", scene.clock.time())
    scene.clock.now += 2 * LOOK_SECONDS
    other.control = (State.OK, "looked at", scene.clock.time())
    scene.engine.reports.clear()
    scene.show.round(scene.clock.now)
    both = {target.endpoint.name, other.endpoint.name}
    assert {one.host for one in scene.engine.reports if "control" in one.service} == both
    scene.clock.now += 2 * LOOK_SECONDS
    scene.engine.reports.clear()
    scene.show.round(scene.clock.now)
    controls = [one.host for one in scene.engine.reports if "control" in one.service]
    assert controls == [other.endpoint.name]


def test_an_endpoint_that_fails_is_not_looked_at_and_told_all_the_same(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.clock, "time", lambda: scene.clock.now)
    target = scene.targets[0]
    target.control = (State.WARNING, "withdrawn", scene.clock.time())
    scene.judge(target, Judgement(State.CRITICAL, StateType.HARD, "dead", present=False))
    scene.clock.now += 100 * LOOK_SECONDS
    scene.engine.reports.clear()
    scene.show.round(scene.clock.now)
    assert [one.text for one in scene.engine.reports if "control" in one.service] == ["withdrawn"]


def test_what_was_wrong_with_a_reload_is_shown_until_the_next_one(scene: Scene) -> None:
    for target in scene.targets:
        scene.judge(target, WELL)
    text = "goes on with the fleet file as it was: no such key"
    scene.show.reloaded(text)
    assert (scene.show.board().notes, scene.lines[-1]) == ((text,), text)
    heard = "hears 3 of 3 streams, 0 CRITICAL"
    assert scene.round(10.0) == (State.WARNING, f"{heard}; {text}")
    scene.show.reloaded()
    assert scene.show.board().notes == ()
    assert scene.round(20.0) == (State.OK, heard)


def test_whose_watcher_reports_is_shown_as_long_as_it_is_another_one(scene: Scene) -> None:
    scene.engine.led_by = "mon1"
    scene.round(10.0)
    assert scene.show.board().notes == ("icinga hears of the endpoints by the watcher on mon1",)
    scene.engine.led_by = ""
    scene.round(20.0)
    assert scene.show.board().notes == ()


def test_an_engine_that_cannot_be_told_is_said_where_a_person_looks(scene: Scene) -> None:
    """Its service of the watcher is CRITICAL, and sends whoever sees it to systemd."""
    scene.engine.trouble = "refuses the password (attempt 1)"
    scene.round(10.0)
    scene.engine.trouble = "refuses the password (attempt 2)"
    scene.round(20.0)
    assert scene.lines == ["icinga is not told: refuses the password (attempt 1)"]
    assert scene.statuses[-1] == (
        "hears 0 of 3 streams, 0 CRITICAL; icinga is not told: refuses the password (attempt 2)"
    )
    scene.engine.trouble = ""
    scene.round(30.0)
    assert scene.lines[1:] == ["icinga is told again"]
    assert scene.statuses[-1] == "hears 0 of 3 streams, 0 CRITICAL"


class TestTheWatcherItself:
    """Where only the streams fail, the services are green, and nobody else would say so."""

    def test_is_well_as_long_as_a_stream_may_take(self, scene: Scene) -> None:
        assert scene.round(10.0) == (State.OK, "hears 0 of 3 streams, 0 CRITICAL")
        scene.judge(scene.targets[0], DEAD)
        assert scene.round(10.0 + DEAF_SECONDS - 5) == (
            State.OK,
            "hears 1 of 3 streams, 1 CRITICAL",
        )

    def test_is_in_doubt_where_it_does_not_hear_one_of_them(self, scene: Scene) -> None:
        first, second, third = scene.targets
        scene.judge(first, WELL)
        scene.judge(second, NOT_HEARD._replace(text="refused\nMAINPID=1"))
        scene.round(10.0)
        assert scene.round(10.0 + DEAF_SECONDS) == (
            State.WARNING,
            "hears 1 of 3 streams, 0 CRITICAL; not resolver ns2 (and 1 more): refused MAINPID=1",
        )
        scene.judge(second, WELL)
        scene.judge(third, WELL)
        assert scene.round(90.0)[0] is State.OK
        scene.judge(third, NOT_HEARD)
        assert scene.round(100.0)[0] is State.OK

    def test_is_well_where_it_does_not_hear_what_is_in_a_downtime(self, scene: Scene) -> None:
        for target in scene.targets[1:]:
            scene.judge(target, WELL)
        scene.engine.downtimes = {("ns1", "resolver")}
        scene.round(10.0)
        assert scene.round(80.0) == (State.OK, "hears 2 of 3 streams, 0 CRITICAL")
        scene.engine.downtimes.clear()
        assert scene.round(90.0)[0] is State.WARNING

    def test_is_as_good_as_dead_where_it_hears_none(self, scene: Scene) -> None:
        scene.round(10.0)
        assert scene.round(10.0 + DEAF_SECONDS)[0] is State.CRITICAL


def test_a_refusal_that_is_tried_again_and_again_is_said_once(scene: Scene) -> None:
    """It would fill the log for weeks, and push what was done off the page."""
    target, *_ = scene.targets
    for age in (1, 2, 4, 60):
        scene.clock.now = age
        scene.refused(target, f"held since {age} s")
    (last,) = target.decisions
    assert "held since 60 s" in last.text
    assert len(scene.lines) == 1
    scene.refused(target, "held by somebody else")
    assert len(target.decisions) == len(scene.lines) == 2


def test_each_act_is_said_and_one_that_worked_is_no_failure(scene: Scene) -> None:
    """A person may have brought the endpoint back between two withdrawals."""
    target, *_ = scene.targets
    for _ in range(2):
        scene.withdrawn(target)
    assert [(one.rule, one.exit) for one in target.decisions] == [("withdraw", DONE)] * 2
    assert len(scene.lines) == 2
    scene.refused(target, "held")
    assert target.decisions[-1].exit == REFUSED


def test_of_an_endpoint_that_is_not_heard_the_board_claims_nothing(scene: Scene) -> None:
    target, *_ = scene.targets
    scene.judge(target, WELL._replace(present=True))
    target.announced = True
    target.control = (State.OK, "ns1: announced: as it should be", 0.0)
    (vip,) = scene.show.board().vips
    assert (vip.endpoints[0].announced, vip.endpoints[0].why) == (True, target.control[1])
    scene.judge(target, NOT_HEARD)
    (vip,) = scene.show.board().vips
    assert (vip.endpoints[0].announced, vip.endpoints[0].why) == (None, "")
