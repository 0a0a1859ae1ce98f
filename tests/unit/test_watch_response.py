"""What follows from a judgement: nothing is done before a failure is certain."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import Action, Decision, State, StateType
from anycast_handlers.errors import DONE
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import Clock
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.acts import ACT, Acted, Acts
from anycast_handlers.watch.ahead import Ahead, Answers
from anycast_handlers.watch.board import EngineState
from anycast_handlers.watch.cause import Cause
from anycast_handlers.watch.engines.report import Report
from anycast_handlers.watch.line import read
from anycast_handlers.watch.notify import Notify
from anycast_handlers.watch.pace import LOOK_SHARE, ROOM_SECONDS
from anycast_handlers.watch.pool import CHANGES_SECONDS, MOST_CHANGES, SOON_SECONDS, Pool
from anycast_handlers.watch.response import MOST_AHEAD, Responses
from anycast_handlers.watch.show import Show
from anycast_handlers.watch.target import AHEAD_SECONDS, Target

FLEET = """
[ssh]
user = "anycast"
identity = "/etc/anycast/id_ed25519"
known_hosts = "/etc/anycast/known_hosts"

[vip.resolver]
address = "10.99.0.53"
interface = "lo:0"
check = ["/usr/lib/nagios/plugins/check_anycast", "dns"]

[vip.resolver.endpoints]
ns1 = "10.0.1.2"
ns2 = "10.0.2.2"
ns3 = "10.0.3.2"
"""
# How far the endpoint's clock is ahead of the one of whoever hears it.
BOOTED = 1000.0


class Now(Clock):
    """A clock that a test sets."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Noted(Acts):
    """Notes what is begun instead of doing it; what an act does has its tests elsewhere."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[str] = []
        self.begun: list[tuple[str, State, bool]] = []
        self.in_downtime: list[bool] = []
        self.ahead: list[Ahead] = []
        self.answers_at_once = True
        self.causes: list[Cause | None] = []
        self.trouble = ""

    def note_cause(self, fleet: Fleet, pool: Pool) -> str:
        self.causes.append(pool.cause)
        return self.trouble

    def ask_ahead(self, fleet: Fleet, target: Target) -> Ahead:
        self.asked.append(target.endpoint.name)
        ahead = Ahead(self.clock)
        self.ahead.append(ahead)
        if self.answers_at_once:
            ahead.run(lambda: Answers(self.clock))
        return ahead

    def begin(
        self, fleet: Fleet, target: Target, state: State, *, ahead: Ahead | None, is_look: bool
    ) -> None:
        self.begun.append((target.endpoint.name, state, is_look))
        self.in_downtime.append(target.in_downtime)


class Downtimes:
    """An engine that knows downtimes, and is told nothing here."""

    def __init__(self) -> None:
        self.of: set[tuple[str, str]] = set()
        self.led_by = ""

    def start(self) -> None: ...
    def tell(self, report: Report) -> None: ...
    def alive(self, state: State, text: str, at: float) -> None: ...
    def close(self) -> None: ...
    def in_downtime(self, endpoint: str, vip: str) -> bool:
        return (endpoint, vip) in self.of

    def leader(self) -> str:
        return self.led_by

    def state(self) -> EngineState:
        return EngineState("icinga")


class Scene:
    """Three endpoints, whose streams say what a test wants; the first is healthy from 0.3 s on."""

    def __init__(self, fleet: Fleet) -> None:
        self.clock = Now()
        self.acts = Noted(self.clock)
        self.engine = Downtimes()
        self.said: list[str] = []
        show = self.show = Show(self.said.append, (self.engine,), Notify(), self.clock)
        self.responses = Responses(self.acts, show, self.clock)
        vip = fleet.vips[0]
        self.targets = [Target(fleet, vip, endpoint) for endpoint in vip.endpoints]
        self.target = self.targets[0]
        self.pool = Pool(fleet, vip, self.targets)
        show.take(fleet, [self.pool])
        self.responses.take(fleet, {vip.name: self.pool})
        for target in self.targets:
            self.say(target, 0.0, stream=1, version="1", boot="b", interval=0.2, wakeups=[])
            self.sample(0.3, of=target)

    def say(self, target: Target, at: float, **fields: Any) -> None:
        """Let the stream of a target say a line."""
        text = json.dumps({"seq": 1, "uptime": BOOTED + at, **fields})
        target.evidence.hear(read(text), at)
        self.consider(at, of=target)

    def sample(
        self,
        at: float,
        state: str = "OK",
        failures: int = 0,
        *,
        present: bool = True,
        of: Target | None = None,
    ) -> None:
        """Let a stream say a sample, that of the first endpoint unless it is said which."""
        kind = "refused" if failures else "right"
        said = {"state": state, "failing": failures > 0, "kind": kind, "text": "t"}
        said |= {"present": present, "samples": failures, "began": BOOTED + at - 0.01}
        self.say(of or self.target, at, **said)

    def fail(self, since: float, until: float, of: Target | None = None) -> None:
        """Let each sample fail, from a moment to another one, a tenth of a second apart."""
        for number in range(round((until - since) * 10) + 1):
            at = since + number / 10
            self.sample(at, "CRITICAL" if number else "OK", number + 1, of=of)

    def consider(self, at: float, of: Target | None = None) -> None:
        self.clock.now = at
        self.responses.consider(of or self.target, at)

    def ended(
        self,
        at: float,
        rule: str,
        *,
        again: float = 0.0,
        is_look: bool = False,
        is_fault: bool = False,
        action: Action = Action.REFUSE,
    ) -> None:
        """Let what was begun last end with a decision by a rule, or by a fault."""
        self.clock.now = at
        name, state, _ = self.acts.begun[-1]
        target = next(one for one in self.targets if one.endpoint.name == name)
        request = Request(ACT, target.vip, target.endpoint, state, StateType.HARD)
        outcome = Outcome(request, self.clock)
        outcome.conclude(Decision(action, rule, "so", State.WARNING, again=again))
        if action in (Action.WITHDRAW, Action.RESTORE):
            outcome.exit, outcome._verified = DONE, {"address": True}
        since = (target.certain_since, target.judgement.failing_since)
        made = Acted(target, None if is_fault else outcome, is_look, at, *since)
        self.responses.acted(made)


@pytest.fixture
def more(request: pytest.FixtureRequest) -> str:
    """Keys of [watch]; a test may give others."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def scene(tmp_path: Path, more: str) -> Scene:
    file = tmp_path / "fleet.toml"
    file.write_text(f"{FLEET}\n[watch]\n{more}\n")
    return Scene(read_fleet(str(file)))


def test_a_healthy_endpoint_is_looked_at(scene: Scene) -> None:
    scene.responses.look(scene.target)
    assert scene.acts.begun == [("ns1", State.OK, True)]


def test_a_failure_that_is_not_certain_is_not_looked_at(scene: Scene) -> None:
    """A look acts on a state that is certain; it would withdraw before the patience is over."""
    scene.sample(0.5, failures=1)
    scene.responses.look(scene.target)
    scene.sample(0.6, "CRITICAL", failures=2)
    scene.responses.look(scene.target)
    assert scene.acts.begun == []
    scene.consider(1.1)
    assert scene.acts.begun == [("ns1", State.CRITICAL, False)]


def test_in_a_downtime_it_says_so_to_each_act_and_to_each_look(scene: Scene) -> None:
    """In a downtime nothing is restored; the rules of the automation say so."""
    scene.engine.of.add(("ns1", "resolver"))
    scene.responses.look(scene.target)
    scene.target.is_looking = False
    scene.sample(0.5, present=False)
    assert scene.acts.begun == [("ns1", State.OK, True), ("ns1", State.OK, False)]
    assert scene.acts.in_downtime == [True, True]


def test_the_end_of_a_downtime_ends_the_wait_of_a_restore(scene: Scene) -> None:
    scene.engine.of.add(("ns1", "resolver"))
    scene.target.restoring.refused(0.4, 60.0)
    scene.sample(0.5, present=False)
    assert scene.acts.begun == []
    scene.engine.of.clear()
    scene.consider(0.6)
    assert scene.acts.begun == [("ns1", State.OK, False)]
    assert scene.acts.in_downtime == [False]


class TestWithdrawal:
    def test_it_comes_when_the_failure_is_certain_and_is_asked_ahead_before(
        self, scene: Scene
    ) -> None:
        scene.fail(1.0, 1.4)
        assert (scene.acts.asked, scene.acts.begun) == (["ns1"], [])
        scene.consider(1.51)
        assert scene.acts.begun == [("ns1", State.CRITICAL, False)]

    def test_a_failure_that_ends_in_time_withdraws_nobody(self, scene: Scene) -> None:
        scene.fail(1.0, 1.4)
        scene.sample(1.45)
        scene.consider(5.0)
        assert scene.acts.begun == []
        assert scene.target not in scene.responses.hot

    @pytest.mark.parametrize("more", ["rank = 1"], indirect=True)
    def test_a_second_watcher_waits_for_a_second(self, scene: Scene) -> None:
        scene.fail(1.0, 2.4)
        assert scene.acts.begun == []
        assert scene.responses.due(scene.target) == pytest.approx(2.5)
        scene.fail(2.5, 2.6)
        assert scene.acts.begun == []
        scene.fail(2.7, 4.4)
        assert scene.acts.begun == [("ns1", State.CRITICAL, False)]

    def test_one_endpoint_of_a_vip_at_a_time(self, scene: Scene) -> None:
        _, second, _ = scene.targets
        scene.fail(1.0, 1.6)
        scene.fail(20.0, 20.6, of=second)
        assert [name for name, *_ in scene.acts.begun] == ["ns1"]
        scene.ended(20.7, "floor")
        scene.consider(20.8, of=second)
        assert [name for name, *_ in scene.acts.begun] == ["ns1", "ns2"]

    def test_another_one_that_has_to_wait_for_it_says_so_once(self, scene: Scene) -> None:
        """A person who looks meanwhile sees why nothing is done about the second one."""
        _, second, third = scene.targets
        scene.fail(1.0, 1.6)
        scene.fail(20.0, 21.0, of=second)
        waits = "ns2: 10.99.0.53 not yet: another endpoint of the VIP is acted on"
        assert second.control is not None
        assert second.control[:2] == (State.CRITICAL, waits)
        assert [line for line in scene.said if "not yet" in line] == [f"resolver {waits}"]
        assert third.control is None

    def test_one_that_has_waited_and_is_well_is_looked_at(self, scene: Scene) -> None:
        """Its control service would go on saying that a withdrawal is to come."""
        _, second, _ = scene.targets
        scene.fail(1.0, 1.6)
        scene.fail(20.0, 21.0, of=second)
        second.next_look = 60.0
        scene.sample(21.2, of=second)
        assert second.next_look == 21.2
        scene.sample(21.4, of=second)
        assert second.next_look == 21.2

    def test_a_refusal_of_its_own_says_more(self, scene: Scene) -> None:
        """The control service would change from WARNING to CRITICAL and back with each act."""
        _, second, _ = scene.targets
        scene.fail(1.0, 1.6, of=second)
        scene.ended(1.7, "not-confirmed", again=10.0)
        before = second.control
        scene.fail(12.0, 12.6)
        scene.consider(13.0, of=second)
        assert (second.control, len(second.decisions)) == (before, 1)

    def test_one_that_waits_for_something_else_says_nothing_of_it(self, scene: Scene) -> None:
        _, second, _ = scene.targets
        scene.fail(1.0, 1.6, of=second)
        scene.ended(1.7, "held", again=60.0)
        scene.fail(20.0, 20.6)
        assert scene.acts.begun[-1][0] == "ns1"
        before = second.control
        scene.consider(21.0, of=second)
        assert second.control == before

    def test_refusals_come_more_and_more_rarely(self, scene: Scene) -> None:
        at, tried = 1.0, []
        for tenth in range(1200):
            at = 1.0 + tenth / 10
            before = len(scene.acts.begun)
            scene.sample(at, "CRITICAL" if tenth else "OK", tenth + 1)
            if len(scene.acts.begun) > before:
                tried.append(at)
                scene.ended(at, "not-confirmed")
        pauses = [round(b - a) for a, b in pairwise(tried)]
        assert pauses == [1, 2, 4, 8, 16, 32]

    def test_where_it_is_known_when_a_refusal_ends_it_is_tried_then(self, scene: Scene) -> None:
        scene.fail(1.0, 1.5)
        scene.ended(1.6, "spacing", again=3.0)
        scene.fail(1.7, 4.5)
        assert len(scene.acts.begun) == 1
        scene.fail(4.6, 5.4)
        assert len(scene.acts.begun) == 2

    def test_after_a_fault_of_this_program_it_is_tried_again_later(self, scene: Scene) -> None:
        scene.fail(1.0, 1.5)
        scene.ended(1.6, "", is_fault=True)
        scene.fail(1.7, 2.4)
        assert len(scene.acts.begun) == 1
        scene.fail(2.5, 3.4)
        assert len(scene.acts.begun) == 2

    def test_a_change_of_another_endpoint_ends_a_wait_soon_and_not_at_once(
        self, scene: Scene
    ) -> None:
        scene.target.withdrawing.not_before = 100.0
        scene.sample(5.0, present=False, of=scene.targets[1])
        assert scene.target.withdrawing.not_before == pytest.approx(6.0)
        assert scene.targets[1].withdrawing.not_before == 0.0


class TestCommonCause:
    def test_most_that_fail_alike_are_left_alone_until_the_patience_is_over(
        self, scene: Scene
    ) -> None:
        _, second, _ = scene.targets
        scene.sample(1.0, failures=1, of=second)
        scene.fail(1.1, 2.0)
        assert scene.acts.begun == []
        said = [one for one in scene.said if "resolver CRITICAL common-cause: 2 of 3" in one]
        assert len(said) == 1
        scene.fail(2.1, 60.8)
        assert scene.acts.begun == []
        scene.fail(60.9, 61.2)
        assert len(scene.acts.begun) == 1

    def test_the_engines_are_to_wait_too_and_until_the_cause_is_over(self, scene: Scene) -> None:
        """They are told of the failures, and would withdraw one after the other."""
        _, second, third = scene.targets
        scene.sample(1.0, failures=1, of=second)
        assert scene.acts.causes == []
        scene.fail(1.1, 2.0)
        scene.sample(2.1, failures=1, of=third)
        scene.sample(2.2, failures=1, of=third)
        told = [one and one.endpoints for one in scene.acts.causes]
        assert told == [("ns2", "ns1"), ("ns2", "ns1", "ns3")]
        for target in scene.targets:
            scene.sample(3.0, of=target)
        assert scene.acts.causes[-1] is None

    def test_it_is_said_where_the_engines_do_not_wait(self, scene: Scene) -> None:
        scene.acts.trouble = "the engines do not wait for it: /state: No space left on device"
        scene.sample(1.0, failures=1, of=scene.targets[1])
        scene.fail(1.1, 2.0)
        assert [one for one in scene.said if one.endswith(f"? {scene.acts.trouble}")]

    def test_the_control_service_says_why_nothing_is_withdrawn_and_once(self, scene: Scene) -> None:
        scene.sample(1.0, failures=1, of=scene.targets[1])
        scene.fail(1.1, 5.0)
        assert scene.target.control is not None
        state, text, _ = scene.target.control
        assert state is State.CRITICAL
        said = r"ns1: 10\.99\.0\.53 not before 20[-0-9]+ [:0-9]+Z: 2 of 3 endpoints began to fail "
        assert re.match(said, text)
        (decided,) = scene.target.decisions
        assert (decided.rule, decided.text) == ("common-cause", text)

    def test_one_that_failed_long_before_is_withdrawn(self, scene: Scene) -> None:
        scene.sample(1.0, failures=1, of=scene.targets[1])
        scene.fail(20.0, 20.5)
        assert scene.acts.begun == [("ns1", State.CRITICAL, False)]


class TestAskingAhead:
    def test_a_liar_keeps_nobody_busy(self, scene: Scene) -> None:
        """However often it fails and recovers."""
        for tenth in range(100):
            at = 1.0 + tenth / 10
            scene.sample(at, failures=tenth % 2)
        assert len(scene.acts.asked) <= 5

    def test_nothing_is_asked_about_an_act_that_has_to_wait(self, scene: Scene) -> None:
        scene.target.withdrawing.not_before = 50.0
        scene.fail(1.0, 3.0)
        assert scene.acts.asked == []

    @pytest.mark.parametrize("more", ["common_cause_patience = 0"], indirect=True)
    def test_while_one_is_acted_on_the_others_are_not_asked(self, scene: Scene) -> None:
        """The answers would be too old when their turn comes."""
        _, second, _ = scene.targets
        for tenth in range(80):
            at, state = 1.0 + tenth / 10, "CRITICAL" if tenth else "OK"
            for target in (scene.target, second):
                scene.sample(at, state, tenth + 1, of=target)
        assert scene.acts.begun == [("ns1", State.CRITICAL, False)]
        before = scene.acts.asked.count("ns2")
        assert before <= 1
        scene.ended(9.1, "floor", again=60.0)
        scene.consider(9.2, of=second)
        assert scene.acts.begun[-1] == ("ns2", State.CRITICAL, False)
        assert scene.acts.asked.count("ns2") == before + 1

    @pytest.mark.parametrize("more", ["common_cause_patience = 0"], indirect=True)
    def test_an_endpoint_that_does_not_answer_goes_before_no_other(self, scene: Scene) -> None:
        _, second, _ = scene.targets
        scene.acts.answers_at_once = False
        scene.clock.now = 1.0
        scene.responses.ask_ahead(second, 1.0)
        scene.fail(1.1, 2.0)
        assert scene.acts.begun == []
        scene.acts.ahead[0].run(lambda: Answers(scene.clock))
        scene.fail(1.1, 2.0, of=second)
        assert [name for name, *_ in scene.acts.begun] == ["ns2"]

    @pytest.mark.parametrize(("is_done", "asked"), [(False, 2), (True, 1)])
    def test_what_waits_for_a_late_answer_is_asked_anew_once_the_service_refuses(
        self, scene: Scene, *, is_done: bool, asked: int
    ) -> None:
        scene.clock.now = 1.0
        scene.acts.answers_at_once = is_done
        scene.responses.ask_ahead(scene.target, 1.0)
        scene.acts.answers_at_once = True
        scene.fail(1.1, 1.8)
        assert scene.acts.begun == [("ns1", State.CRITICAL, False)]
        assert scene.acts.asked == ["ns1"] * asked


class TestLooks:
    @pytest.mark.parametrize("state", ["OK", "WARNING"])
    def test_of_what_is_certain(self, scene: Scene, state: str) -> None:
        scene.sample(1.0, state)
        scene.responses.look(scene.target)
        assert scene.acts.begun == [("ns1", State[state], True)]

    def test_none_where_nothing_is_known(self, scene: Scene) -> None:
        scene.target.evidence.lose("its stream has ended")
        scene.consider(1.0)
        scene.responses.look(scene.target)
        assert scene.acts.begun == []

    def test_one_at_a_time_of_each_and_few_at_a_time_of_all(self, scene: Scene) -> None:
        scene.responses.look(scene.target)
        scene.responses.look(scene.target)
        assert len(scene.acts.begun) == 1
        scene.ended(1.0, "announced", is_look=True)
        scene.responses.look(scene.target)
        assert len(scene.acts.begun) == 2
        assert scene.target.next_look == float("inf")


class TestRestore:
    def test_what_is_well_and_withdrawn_is_restored_when_it_is_due(self, scene: Scene) -> None:
        scene.sample(1.0, present=False)
        scene.ended(1.1, "hold-down", again=60.0)
        scene.sample(30.0, present=False)
        assert len(scene.acts.begun) == 1
        scene.sample(61.2, present=False)
        assert scene.acts.begun == [("ns1", State.OK, False)] * 2

    def test_its_wait_stops_no_withdrawal(self, scene: Scene) -> None:
        scene.sample(1.0, present=False)
        scene.ended(1.1, "hold-down", again=600.0)
        scene.sample(2.0)
        scene.fail(3.0, 3.6)
        assert scene.acts.begun[-1] == ("ns1", State.CRITICAL, False)


def test_it_is_said_whose_watcher_reports(scene: Scene) -> None:
    said = len(scene.said)
    for leader in ("", "mon1", "mon1", ""):
        scene.engine.led_by = leader
        scene.show.round(0.0)
    assert scene.said[said:] == [
        "icinga hears of the endpoints by the watcher on mon1",
        "icinga hears of the endpoints by this watcher again",
    ]


def test_a_withdrawn_endpoint_that_still_fails_is_looked_at(scene: Scene) -> None:
    """Too few may announce since then, and nobody else finds that while the engine is told."""
    scene.sample(0.5, "WARNING", failures=2, present=False)
    scene.responses.look(scene.target)
    assert scene.acts.begun == [("ns1", State.WARNING, True)]


def test_so_many_are_asked_ahead_at_a_time(scene: Scene) -> None:
    """All of a large pool may be late at once, and each costs threads here and a process there."""
    scene.acts.answers_at_once = False
    for _ in range(2 * MOST_AHEAD):
        scene.responses.ask_ahead(scene.target, 0.0)
        # It stands for another target each time.
        scene.target.ahead = None
    assert len(scene.acts.asked) == MOST_AHEAD
    scene.acts.ahead[0].run(lambda: Answers(scene.clock))
    scene.responses.ask_ahead(scene.target, 1000.0)
    assert len(scene.acts.asked) == MOST_AHEAD + 1


def test_who_takes_its_time_to_answer_keeps_its_pool_free(scene: Scene) -> None:
    """Its own act waits for the answers, and another endpoint of the VIP may be acted on."""
    scene.acts.answers_at_once = False
    scene.fail(1.0, 5.0)
    assert (scene.acts.begun, scene.acts.asked) == ([], ["ns1"])
    assert not scene.responses.acting
    scene.acts.ahead[0].run(lambda: Answers(scene.clock))
    scene.consider(5.1)
    assert scene.acts.begun == [("ns1", State.CRITICAL, False)]


def test_who_does_not_answer_at_all_is_acted_on_all_the_same(scene: Scene) -> None:
    scene.acts.answers_at_once = False
    scene.fail(1.0, 8.5)
    assert scene.acts.begun == []
    scene.fail(8.6, 1.5 + AHEAD_SECONDS)
    assert scene.acts.begun == [("ns1", State.CRITICAL, False)]


def test_an_endpoint_that_says_it_comes_and_goes_drives_no_other(scene: Scene) -> None:
    """What was refused is tried again at a change, but not at each of a liar's."""
    (pool,) = scene.responses.pools.values()
    liar, refused = pool.targets[1], pool.targets[2].withdrawing
    tried = 0
    for number in range(100):
        scene.clock.now = now = CHANGES_SECONDS + number / 2
        refused.not_before = later = now + 60
        pool.others_changed(liar, now)
        tried += refused.not_before < later
    assert tried == MOST_CHANGES
    pool.others_changed(liar, 2 * CHANGES_SECONDS + 5)
    assert refused.not_before == 2 * CHANGES_SECONDS + 5 + SOON_SECONDS


def test_after_an_act_the_board_shows_what_was_done(scene: Scene) -> None:
    """The look and the count of an act were before it; another look may be a minute away."""
    scene.fail(1.0, 1.6)
    scene.ended(1.7, "withdraw", action=Action.WITHDRAW)
    (vip,) = scene.show.board().vips
    assert (vip.endpoints[0].announced, vip.endpoints[0].latched) == (False, True)
    assert [one.endpoint for one in vip.failovers] == ["ns1"]
    scene.sample(3.0, present=False)
    scene.consider(4.0)
    scene.ended(4.1, "restore", action=Action.RESTORE)
    scene.sample(4.2)
    (vip,) = scene.show.board().vips
    assert (vip.endpoints[0].announced, vip.endpoints[0].latched) == (True, False)
    assert len(vip.failovers) == 1


def test_looks_make_room_for_what_is_urgent(scene: Scene) -> None:
    """With a thousand endpoints they took half of the machine, and delayed it."""
    pause = scene.responses.look_pause
    assert pause.seconds == LOOK_SHARE
    scene.responses.ask_ahead(scene.target, scene.clock.now)
    assert (scene.acts.asked, pause.seconds) == (["ns1"], ROOM_SECONDS)
    scene.clock.now += ROOM_SECONDS + 0.1
    assert pause.seconds == LOOK_SHARE


def test_an_endpoint_that_always_fails_keeps_no_other_unseen(scene: Scene) -> None:
    scene.acts.answers_at_once = False
    paused = 0
    for tenth in range(1000):
        scene.clock.now = 10.0 + tenth / 10
        scene.responses.ask_ahead(scene.target, scene.clock.now)
        # It stands for another target each time.
        scene.target.ahead = None
        scene.acts.ahead[-1].run(lambda: Answers(scene.clock))
        paused += scene.responses.look_pause.seconds == ROOM_SECONDS
    assert len(scene.acts.asked) > 100
    assert 100 < paused < 600
