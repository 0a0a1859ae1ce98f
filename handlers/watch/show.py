"""What the watcher lets be seen: lines for people, the board, the engines, systemd."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence

from anycast_checks.line import clean

from ..decision.automation import SPACING
from ..decision.facts import Action, CommonCause, State, StateType
from ..decision.guards import COMMON_CAUSE, refuse_together
from ..errors import REFUSED, TRIED_AND_FAILED
from ..fleet.values import Fleet
from ..operation.outcome import LONGEST_NAME, Outcome
from ..transport.clock import Clock
from .acts import Acted
from .board import Board, Decided
from .cause import Cause
from .engines.report import Engine, control, health
from .engines.told import Told
from .evidence import Judgement
from .hearing import Hearing
from .notify import Notify
from .pace import longest_known
from .pool import Pool
from .portrait import endpoint_state, failover, note_look
from .target import Target

TELL_SECONDS = 4.0
NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))
# How many lines about one thing are said within so many seconds. An endpoint that says another
# state each time must not fill the log, where others have to be found. The board has all of it.
MOST_LINES, LINES_SECONDS = 20, 60.0


class Show:
    """Is told by the main loop what happens, and passes it on; it never waits.

    ``board`` may be called by another thread.
    """

    def __init__(
        self, say: Callable[[str], None], engines: Sequence[Engine], notify: Notify, clock: Clock
    ) -> None:
        self._say = say
        self._told = Told(engines)
        self._notify = notify
        self._clock = clock
        self._started = clock.time()
        self._version = 0
        self._pools: list[Pool] = []
        self._file = ""
        self._hearing = Hearing(self.in_downtime)
        self._reload_trouble = ""
        self._told_at = 0.0
        self._said: dict[str, deque[float]] = {}
        self._lived_at = self._started
        self._longest_known = longest_known(0)

    def take(self, fleet: Fleet, pools: list[Pool]) -> None:
        """Show other pools from now on."""
        self._pools = pools
        self._said = {}
        self._longest_known = longest_known(sum(len(pool.targets) for pool in pools))
        self._file = os.path.realpath(fleet.file)
        self._version += 1
        places = {target.endpoint.address for pool in pools for target in pool.targets}
        vips, endpoints = _count(len(pools), "VIP"), _count(len(places), "endpoint")
        self._say(f"watches {vips} on {endpoints} by {fleet.file}")

    def reloaded(self, trouble: str = "") -> None:
        """Take note of a reload; what was wrong with it is shown until the next one."""
        self._reload_trouble = trouble
        self._version += 1
        if trouble:
            self._say(trouble)

    def say_cause(self, pool: Pool, cause: Cause, trouble: str) -> None:
        """Say as loudly as possible what many endpoints fail of, and why engines do not know."""
        text = " ".join(filter(None, (f"{COMMON_CAUSE}: {cause.say()}", trouble)))
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

    def waits(self, target: Target) -> None:
        """Say that a withdrawal waits until an act on another endpoint of its VIP has ended."""
        # An earlier decision on this failure says more, such as that it is not confirmed.
        if not target.last_rule:
            self._refused(target, SPACING, "not yet: another endpoint of the VIP is acted on")

    def is_held_back(self, pool: Pool, target: Target, left: float) -> None:
        """Say that a withdrawal waits for so many seconds yet, since many fail of one cause."""
        if pool.cause and target.last_rule != COMMON_CAUSE:
            cause = CommonCause(pool.cause.say(), self._clock.time() + left, left)
            self._refused(target, COMMON_CAUSE, refuse_together(cause).reason)

    def _refused(self, target: Target, rule: str, why: str) -> None:
        where = f"{clean(target.endpoint.name, LONGEST_NAME)}: {target.vip.address}"
        text, now = f"{where} {why}", self._clock.time()
        target.control = (State.CRITICAL, text, now)
        self._decided(target, Decided(now, rule, text, REFUSED), is_refusal=True)
        self._version += 1
        self._tell(target)

    def acted(self, acted: Acted, outcome: Outcome) -> None:
        """Take note of what came of an act or of a look."""
        target, decision = acted.target, outcome.decision
        target.control = (outcome.severity, outcome.line, self._clock.time())
        note_look(target, acted, outcome)
        if decision and (outcome.has_acted or not acted.is_look):
            done = Decided(self._clock.time(), decision.rule, outcome.line, outcome.exit)
            is_refusal = not outcome.has_acted and outcome.exit != TRIED_AND_FAILED
            self._decided(target, done, is_refusal=is_refusal)
        if outcome.has_acted and decision:
            # The look and the count were before the act.
            target.announced = decision.action is Action.RESTORE
            target.latched = decision.action is Action.WITHDRAW
        for pool in self._pools:
            if pool.vip.name == target.vip.name:
                pool.acted(outcome)
                if outcome.has_acted and target.latched and acted.certain_since is not None:
                    pool.note(failover(acted, outcome, self._clock))
        self._version += 1
        self._tell(target)

    def round(self, now: float) -> None:
        """Say again what engines and systemd want to hear again and again."""
        self._lived_at = self._clock.time()
        self._hearing.take_note((one for pool in self._pools for one in pool.targets), now)
        text = "; ".join(filter(None, (self._hearing.text(now), self._reload_trouble)))
        for said in self._told.other_leaders():
            self._version += 1
            self._say(said)
        for name, said in self._told.other_troubles(_is_same_text):
            self._say_of(name, said)
        self._notify.alive("; ".join((text, *self._told.troubles)))
        for pool in self._pools:
            if not pool.cause and pool.shown.common_cause:
                pool.shown = pool.shown._replace(common_cause="")
                self._version += 1
        if now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        state = self._hearing.state(now)
        if self._reload_trouble and state is State.OK:
            state = State.WARNING
        self._told.alive(state, text, self._clock.time())
        for pool in self._pools:
            for target in pool.targets:
                self._tell(target)

    def in_downtime(self, target: Target) -> bool:
        """Whether an engine says that the service is in a downtime."""
        return self._told.in_downtime(target.endpoint.name, target.vip.name)

    def board(self) -> Board:
        """Give all that is known now."""
        now = self._clock.monotonic()
        vips = tuple(
            pool.shown._replace(
                announcing=pool.announcing(),
                endpoints=tuple(endpoint_state(one, now) for one in list(pool.targets)),
            )
            for pool in list(self._pools)
        )
        notes = tuple(filter(None, (self._reload_trouble, *self._told.led)))
        states = self._told.states
        at = self._lived_at
        return Board(self._version, self._started, at, vips, states, notes, self._file)

    def _decided(self, target: Target, done: Decided, *, is_refusal: bool) -> None:
        """Remember a decision, and say it; a refusal that is tried again and again, once."""
        before = target.decisions[-1] if target.decisions else None
        if before and is_refusal and _is_alike(before, done):
            target.decisions[-1] = done
            return
        target.decisions.append(done)
        self._say(f"{target.vip.name} {done.text}")

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
        text = clean(judged.text)
        self._told.tell(health(name, vip.name, judged.state, text, at))
        if target.control and self._holds(target, at):
            state, line, _ = target.control
            self._told.tell(control(name, vip.name, state, clean(line), at))

    def _holds(self, target: Target, at: float) -> bool:
        """Whether the last look or act still tells how the endpoint is.

        Where the looks do not come, the engine is to run its own check: what it is told is new to
        it, however old. An endpoint that fails is not looked at, since its stream tells enough.
        """
        assert target.control is not None
        return target.judgement.is_certain_failure or at - target.control[2] <= self._longest_known


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _is_same_text(before: str, now: str) -> bool:
    """Whether two texts are the same but for their numbers, such as an age."""
    return before.translate(NO_DIGITS) == now.translate(NO_DIGITS)


def _is_alike(before: Decided, now: Decided) -> bool:
    """Whether two decisions are the same but for their time, and numbers."""
    same = (before.rule, before.exit) == (now.rule, now.exit)
    return same and _is_same_text(before.text, now.text)


def _is_another_reason(now: Judgement, before: Judgement) -> bool:
    """Whether nothing can be told for another reason than before; no number makes it another."""
    return now.state is State.UNKNOWN and not _is_same_text(before.text, now.text)
