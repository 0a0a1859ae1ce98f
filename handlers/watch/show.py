"""What the watcher lets be seen: lines for people, the board, the engines, systemd."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from anycast_checks.line import clean

from ..decision.facts import Action, State, StateType
from ..fleet.values import Fleet
from ..operation.outcome import Outcome
from ..transport.clock import Clock
from .acts import Acted
from .board import Board, Decided, EndpointState, Failover, Held, Stage
from .cause import Cause
from .engines.report import Engine, control, health
from .evidence import Judgement
from .notify import Notify
from .pool import Pool
from .target import Target

TELL_SECONDS = 4.0
KEPT_NOTES = 5
NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))
# How many lines about one thing are said within so many seconds. An endpoint that says another
# state each time must not fill the log, where others have to be found. The board has all of it.
MOST_LINES, LINES_SECONDS = 20, 60.0
# What a run does when clients are well again already.
AFTER = frozenset({"count again"})


class Show:
    """Is told by the main loop what happens, and passes it on; it never waits.

    ``board`` may be called by another thread.
    """

    def __init__(
        self, say: Callable[[str], None], engines: Sequence[Engine], notify: Notify, clock: Clock
    ) -> None:
        self._say = say
        self._engines = engines
        self._notify = notify
        self._clock = clock
        self._started = clock.time()
        self._version = 0
        self._pools: list[Pool] = []
        self._leaders = ("",) * len(engines)
        self._notes: tuple[str, ...] = ()
        self._told_at = 0.0
        self._said: dict[str, deque[float]] = {}
        self._lived_at = self._started

    def take(self, fleet: Fleet, pools: list[Pool]) -> None:
        """Show other pools from now on."""
        self._pools = pools
        self._said = {}
        self._version += 1
        places = {target.endpoint.address for pool in pools for target in pool.targets}
        vips, endpoints = _count(len(pools), "VIP"), _count(len(places), "endpoint")
        self._say(f"watches {vips} on {endpoints} by {fleet.file}")

    def note(self, text: str) -> None:
        """Say something about the watcher itself."""
        self._notes = (*self._notes, text)[-KEPT_NOTES:]
        self._version += 1
        self._say(text)

    def say_cause(self, pool: Pool, cause: Cause) -> None:
        """Say as loudly as possible what many endpoints fail of."""
        text = f"common-cause: {cause.say(len(pool.vip.endpoints))}"
        pool.shown = pool.shown._replace(common_cause=text)
        self._version += 1
        self._say_of(pool.vip.name, f"{pool.vip.name} CRITICAL {text}")

    def judged(self, target: Target, before: Judgement) -> None:
        """Take note of a judgement, and pass on what has changed."""
        now = target.judgement
        changed = (now.state, now.state_type, now.present) != (
            before.state,
            before.state_type,
            before.present,
        )
        if not changed and not _is_another_reason(now, before):
            return
        if now.state is not before.state:
            target.since = self._clock.time()
        self._version += 1
        said = f"{target.name} {now.state.name} {now.state_type.name} {now.text}"
        self._say_of(target.name, said)
        self._tell(target)

    def acted(self, acted: Acted, outcome: Outcome) -> None:
        """Take note of what came of an act or of a look."""
        target, pool_name = acted.target, acted.target.vip.name
        decision = outcome.decision
        target.control = (outcome.severity, outcome.line, self._clock.time())
        if outcome.announced is not None:
            target.announced = outcome.announced
        if outcome.look:
            target.latched = outcome.look.latch_age is not None
            hold = outcome.look.hold
            target.held = Held(hold.by, hold.until, hold.reason) if hold else None
        if decision and (outcome.has_acted or not acted.is_look):
            done = Decided(self._clock.time(), decision.rule, outcome.line, outcome.exit_code)
            target.decisions.append(done)
            self._say(f"{target.vip.name} {outcome.line}")
        if outcome.has_acted and decision:
            # The look and the count were before the act.
            target.announced = decision.action is Action.RESTORE
            target.latched = decision.action is Action.WITHDRAW
            for pool in self._pools:
                is_failover = target.latched and acted.certain_since is not None
                if pool.vip.name == pool_name and is_failover:
                    pool.note(_failover(acted, outcome, self._clock))
        self._version += 1
        self._tell(target)

    def round(self, now: float) -> None:
        """Say again what engines and systemd want to hear again and again."""
        self._lived_at = self._clock.time()
        self._notify.alive(self._summary())
        self._note_leaders()
        for pool in self._pools:
            if not pool.cause and pool.shown.common_cause:
                pool.shown = pool.shown._replace(common_cause="")
                self._version += 1
        if now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        for engine in self._engines:
            engine.alive(self._summary(), self._clock.time())
        for pool in self._pools:
            for target in pool.targets:
                self._tell(target)

    def _note_leaders(self) -> None:
        """Say which watcher reports to an engine, where there are several."""
        leaders = tuple(engine.leader() for engine in self._engines)
        for engine, before, now in zip(self._engines, self._leaders, leaders, strict=True):
            if now != before:
                name = engine.state().name
                whose = f"the watcher on {now}" if now else "this watcher again"
                self.note(f"{name} hears of the endpoints by {whose}")
        self._leaders = leaders

    def in_downtime(self, target: Target) -> bool:
        """Whether an engine says that the service is in a downtime."""
        names = target.endpoint.name, target.vip.name
        return any(engine.in_downtime(*names) for engine in self._engines)

    def board(self) -> Board:
        """Give all that is known now."""
        now = self._clock.monotonic()
        vips = tuple(
            pool.shown._replace(
                announcing=pool.announcing(),
                endpoints=tuple(_endpoint(one, now) for one in list(pool.targets)),
            )
            for pool in list(self._pools)
        )
        engines = tuple(engine.state() for engine in self._engines)
        return Board(self._version, self._started, self._lived_at, vips, engines, self._notes)

    def _say_of(self, what: str, text: str) -> None:
        """Say a line about something, where not too many were said just before."""
        now = self._clock.monotonic()
        said = self._said.setdefault(what, deque(maxlen=MOST_LINES))
        if len(said) == MOST_LINES and now - said[0] < LINES_SECONDS:
            return
        said.append(now)
        if len(said) == MOST_LINES and now - said[0] < LINES_SECONDS:
            text = f"{what} changes all the time, so no more is said of it for now: {text}"
        self._say(text)

    def _tell(self, target: Target) -> None:
        judged, at = target.judgement, self._clock.time()
        # An engine makes a HARD state of what it is told a few times, and calls the handler. So
        # it is told only what is certain; its own check is to find out what cannot be told.
        if judged.state is State.UNKNOWN or judged.state_type is not StateType.HARD:
            return
        name, vip = target.endpoint.name, target.vip
        text = clean(f"{vip.address} {judged.text}")
        for engine in self._engines:
            engine.tell(health(name, vip.name, judged.state, text, at))
            if target.control:
                state, line, _ = target.control
                engine.tell(control(name, vip.name, state, clean(line), at))

    def _summary(self) -> str:
        targets = [one for pool in self._pools for one in pool.targets]
        heard = sum(one.judgement.state is not State.UNKNOWN for one in targets)
        failing = sum(one.judgement.state is State.CRITICAL for one in targets)
        return f"hears {heard} of {len(targets)} streams, {failing} CRITICAL"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _is_another_reason(now: Judgement, before: Judgement) -> bool:
    """Whether nothing can be told for another reason than before; no number makes it another."""
    if now.state is not State.UNKNOWN:
        return False
    return now.text.translate(NO_DIGITS) != before.text.translate(NO_DIGITS)


def _endpoint(target: Target, now: float) -> EndpointState:
    judged, heard = target.judgement, target.evidence.heard
    return EndpointState(
        target.endpoint.name,
        target.endpoint.address,
        judged.state,
        judged.text,
        judged.kind if judged.failing_since is not None else "",
        judged.present,
        target.announced if judged.present is not False else False,
        target.latched,
        target.held,
        target.since or None,
        target.control[1] if target.control else "",
        None if heard is None else max(0.0, now - heard),
        target.evidence.taken,
        tuple(target.decisions),
        target.endpoint.site,
    )


def _failover(acted: Acted, outcome: Outcome, clock: Clock) -> Failover:
    assert acted.certain_since is not None
    now = clock.monotonic()
    before = acted.certain_since - (acted.failing_since or acted.certain_since)
    stages = [Stage("be certain", before), Stage("begin", acted.began - acted.certain_since)]
    stages += [Stage(name, seconds) for name, seconds in outcome.timings if name not in AFTER]
    return Failover(
        acted.target.endpoint.name, clock.time() - (now - acted.certain_since), tuple(stages)
    )
