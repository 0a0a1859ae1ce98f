"""What follows from a judgement: nothing is done before a failure is certain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.transport.clock import Clock
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.acts import Acts
from anycast_handlers.watch.ahead import Ahead
from anycast_handlers.watch.board import EngineState
from anycast_handlers.watch.engines.report import Report
from anycast_handlers.watch.line import read
from anycast_handlers.watch.notify import Notify
from anycast_handlers.watch.pool import Pool
from anycast_handlers.watch.response import Responses
from anycast_handlers.watch.show import Show
from anycast_handlers.watch.target import Target

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

    def __init__(self) -> None:
        self.begun: list[tuple[str, State, bool]] = []
        self.in_downtime: list[bool] = []

    def ask_ahead(self, fleet: Fleet, target: Target) -> Ahead:
        return Ahead(0.0)

    def begin(
        self, fleet: Fleet, target: Target, state: State, *, ahead: Ahead | None, is_look: bool
    ) -> None:
        self.begun.append((target.endpoint.name, state, is_look))
        self.in_downtime.append(target.in_downtime)


class Downtimes:
    """An engine that knows downtimes, and is told nothing here."""

    def __init__(self) -> None:
        self.of: set[tuple[str, str]] = set()

    def start(self) -> None: ...
    def tell(self, report: Report) -> None: ...
    def alive(self, text: str, at: float) -> None: ...
    def close(self) -> None: ...
    def in_downtime(self, endpoint: str, vip: str) -> bool:
        return (endpoint, vip) in self.of

    def state(self) -> EngineState:
        return EngineState("downtimes")


class Scene:
    """The first of three endpoints, whose stream says what a test wants."""

    def __init__(self, fleet: Fleet) -> None:
        self.clock, self.acts = Now(), Noted()
        self.engine = Downtimes()
        show = Show(lambda _text: None, (self.engine,), Notify(), self.clock)
        self.responses = Responses(self.acts, show, self.clock)
        vip = fleet.vips[0]
        targets = [Target(fleet, vip, endpoint) for endpoint in vip.endpoints]
        self.target = targets[0]
        self.responses.take(fleet, {vip.name: Pool(fleet, vip, targets)})
        self.say(0.0, stream=1, version="1", boot="b", interval=0.2, wakeups=[])
        self.sample(0.3)

    def say(self, at: float, **fields: Any) -> None:
        """Let the stream say a line."""
        self.clock.now = at
        text = json.dumps({"seq": 1, "uptime": BOOTED + at, **fields})
        self.target.evidence.hear(read(text), at)
        self.consider(at)

    def sample(
        self, at: float, state: str = "OK", failures: int = 0, *, present: bool = True
    ) -> None:
        """Let the stream say a sample."""
        kind = "refused" if failures else "right"
        said = {"state": state, "failing": failures > 0, "kind": kind, "text": "t"}
        said["present"] = present
        self.say(at, **said, samples=failures, began=BOOTED + at - 0.01)

    def consider(self, at: float) -> None:
        self.clock.now = at
        self.responses.consider(self.target, at)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
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
