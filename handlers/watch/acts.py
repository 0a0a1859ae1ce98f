"""What the watcher does about a target: the one operation, by a thread of its own."""

from __future__ import annotations

import threading
from functools import partial
from typing import NamedTuple

from anycast_checks.routing import DAEMONS

from ..decision.facts import State, StateType
from ..errors import HandlerError
from ..fleet.values import Fleet
from ..operation import common_cause
from ..operation.act import Means, act
from ..operation.lock import FileLocks
from ..operation.log import DecisionLog
from ..operation.operate import Host, operate
from ..operation.outcome import Outcome
from ..operation.pulse import Pulse
from ..operation.request import Request, Verb, decide_as_told, signature
from ..operation.router_ids import FileRouterIds
from ..transport.clock import Clock
from ..transport.kept import KeptConnections
from .ahead import Ahead, AnsweredAhead, Answers, Asking, ask_ahead, asking_along
from .events import Events
from .pool import Pool
from .target import Target

# Both have one name in the log. The one acts, under the lock from its beginning; the other looks,
# counts, and does what was left undone, as `enforce` does.
ACT = Verb("watch", decide_as_told, by_hand=False, ends_with_severity=True)
LOOK = Verb("watch", decide_as_told, by_hand=False, counts_each_time=True, ends_with_severity=True)


class Asked(NamedTuple):
    """What was asked ahead about a target is there."""

    target: Target


class Acted(NamedTuple):
    """An act has ended, or a look; by a fault of the program where there is no outcome."""

    target: Target
    outcome: Outcome | None
    is_look: bool
    began: float
    certain_since: float | None
    failing_since: float | None


class Acts:
    """Acts and looks, each by a thread of its own; what came of it is put into a queue."""

    def __init__(
        self,
        connections: KeptConnections,
        events: Events,
        clock: Clock,
        pulse: Pulse,
    ) -> None:
        self._connections = connections
        self._events = events
        self._clock = clock
        self._pulse = pulse

    def ask_ahead(self, fleet: Fleet, target: Target) -> Ahead:
        """Begin to ask what an act will need."""
        ahead = Ahead(self._clock)
        asking = self._asking(fleet)
        ask = partial(ask_ahead, fleet, target.vip, target.endpoint, asking)

        def run() -> None:
            ahead.run(ask)
            self._events.put(Asked(target))

        threading.Thread(target=run, daemon=True).start()
        return ahead

    def begin(
        self, fleet: Fleet, target: Target, state: State, *, ahead: Ahead | None, is_look: bool
    ) -> None:
        """Begin to act or to look, on a state that is HARD."""
        request = Request(
            LOOK if is_look else ACT,
            target.vip,
            target.endpoint,
            state,
            StateType.HARD,
            downtime=target.in_downtime,
        )
        since = (target.certain_since, target.judgement.failing_since)
        job = partial(self._act, fleet, target, request, ahead, since)
        threading.Thread(target=job, daemon=True).start()

    def note_cause(self, fleet: Fleet, pool: Pool) -> str:
        """Have the engines' runs on this host wait too, where many fail of one cause.

        Returns:
            Why that is not noted; empty where it is.
        """
        if pool.cause is None:
            common_cause.forget(fleet, pool.vip)
            return ""
        until = self._clock.time() + pool.patient_until(pool.cause) - self._clock.monotonic()
        try:
            common_cause.note(fleet, pool.vip, pool.cause.endpoints, pool.cause.say(), until)
        except HandlerError as error:
            return f"the engines do not wait for it: {error}"
        return ""

    def _act(
        self,
        fleet: Fleet,
        target: Target,
        request: Request,
        ahead: Ahead | None,
        since: tuple[float | None, float | None],
    ) -> None:
        began = self._clock.monotonic()
        is_look = request.verb is LOOK
        outcome = None
        try:
            if is_look:
                connections = asking_along(target.vip, target.endpoint, self._asking(fleet))
            else:
                answers = ahead.answers if ahead else None
                connections = AnsweredAhead(self._connections, answers or Answers(self._clock))
            outcome = operate(fleet, request, self._host(fleet, connections))
        finally:
            # Where this is a fault of the program, the thread's end says which.
            self._events.put(Acted(target, outcome, is_look, began, *since))

    def _asking(self, fleet: Fleet) -> Asking:
        router_ids = FileRouterIds(fleet.paths.state)
        return Asking(self._connections, DAEMONS, router_ids, self._clock)

    def _host(self, fleet: Fleet, connections: AnsweredAhead) -> Host:
        state = fleet.paths.state
        means = Means(
            connections,
            FileLocks(state, self._clock),
            FileRouterIds(state),
            DAEMONS,
            signature(by_hand=False),
            self._pulse,
        )
        log = DecisionLog(fleet.paths.log, self._clock)
        return Host(self._clock, log, partial(act, means=means))
