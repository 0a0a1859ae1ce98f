"""What follows from a judgement: asking ahead, an act, a look, or waiting."""

from __future__ import annotations

from ..decision.facts import State, StateType
from ..fleet.values import Fleet
from ..transport.clock import Clock
from .acts import Acted, Acts
from .ahead import Ahead
from .pace import LOOK_SECONDS, LookPause, look_pace, look_pause_after
from .pool import Pool
from .show import Show
from .target import Target

MOST_LOOKS = 8
# Answers that were asked ahead are to be there this long before a failure becomes certain.
AHEAD_OF = 0.4
AHEAD_PAUSE = 2.0
# So many are asked ahead at the same time, each by some threads and by a process there. The others
# ask when they act.
MOST_AHEAD = 16
RANK_SECONDS = 1.0
# After an act its effect has to be seen in the stream; until then the next one waits.
SEEN_SECONDS = 2.0


class Responses:
    """Answers judgements; the main loop of the watcher alone calls it.

    Attributes:
        pools: the VIPs, by their names.
        hot: the targets about which something may have to be done without another event.
        pace: seconds between two looks at an endpoint.
        look_pause: how long the next look waits after the one before.
    """

    def __init__(self, acts: Acts, show: Show, clock: Clock) -> None:
        self.pools: dict[str, Pool] = {}
        self.hot: set[Target] = set()
        self.pace = LOOK_SECONDS
        self._acts = acts
        self._show = show
        self._clock = clock
        self._looking = self._acting = 0
        self.look_pause = LookPause(clock)
        self._asking: list[Ahead] = []

    def take(self, fleet: Fleet, pools: dict[str, Pool]) -> None:
        """Answer judgements on other VIPs from now on."""
        self._fleet = fleet
        for name, pool in pools.items():
            if before := self.pools.get(name):
                pool.take_over(before)
        self.pools = pools
        targets = [target for pool in pools.values() for target in pool.targets]
        self.hot.intersection_update(targets)
        self.pace = look_pace(len(targets))

    @property
    def can_look(self) -> bool:
        """Whether another look may begin, besides those that are under way."""
        return self._looking < MOST_LOOKS

    @property
    def acting(self) -> bool:
        """Whether an act is under way."""
        return self._acting > 0

    def due(self, target: Target) -> float | None:
        """Give the moment at which a hot target has to be considered again."""
        certain = target.evidence.due()
        if certain is None:
            return target.restoring.not_before
        ranked = (target.certain_since or certain) + RANK_SECONDS * self._fleet.watch.rank
        held_back = self.pools[target.vip.name].held_back_until(target) or 0.0
        now = self._clock.monotonic()
        moments = (certain - AHEAD_OF, certain, ranked, held_back, target.withdrawing.not_before)
        return min((one for one in moments if one > now), default=None)

    def consider(self, target: Target, now: float) -> None:
        """Judge a target, and do what follows from its state."""
        pool = self.pools[target.vip.name]
        self._judge(pool, target, now)
        self._note_downtime(target, now)
        judged = target.judgement
        failing = judged.failing_since is not None and judged.present is not False
        recovered = judged.is_certain_health and judged.present is False
        if target.is_waiting and not failing:
            # The board and the engines have it that a withdrawal is to come.
            target.is_waiting = False
            target.next_look = min(target.next_look, now)
        if not (failing or recovered):
            self.hot.discard(target)
            return
        self.hot.add(target)
        certain = target.evidence.due()
        if failing and certain is not None and certain - AHEAD_OF <= now:
            self.ask_ahead(target, now)
        if pool.acting:
            self._wait(pool, target, now)
            return
        if recovered and now >= target.restoring.not_before:
            self._act(pool, target, State.OK)
        elif judged.is_certain_failure and now >= target.withdrawing.not_before:
            self._withdraw(pool, target, now)

    def _judge(self, pool: Pool, target: Target, now: float) -> None:
        before, judged = target.judgement, target.evidence.judge(now)
        target.judgement = judged
        if judged.present is not before.present:
            pool.others_changed(target, now)
        if not judged.is_certain_failure:
            target.certain_since = None
        elif target.certain_since is None:
            target.certain_since = now
        began_or_ended = (judged.failing_since is None) != (before.failing_since is None)
        if began_or_ended:
            self._find_cause(pool)
        self._show.judged(target, before)

    def _find_cause(self, pool: Pool) -> None:
        before, found = pool.cause, pool.find_cause()
        # The engines are told of these failures next.
        trouble = "" if pool.cause == before else self._acts.note_cause(self._fleet, pool)
        if found:
            self._show.say_cause(pool, found, trouble)

    def _note_downtime(self, target: Target, now: float) -> None:
        before, target.in_downtime = target.in_downtime, self._show.in_downtime(target)
        if before and not target.in_downtime:
            # The restore has waited for the end of the downtime.
            target.restoring.not_before = min(target.restoring.not_before, now)

    def _wait(self, pool: Pool, target: Target, now: float) -> None:
        """Say why a withdrawal waits that is due, and that waits for nothing else."""
        is_due = target.judgement.is_certain_failure and now >= target.withdrawing.not_before
        if is_due and pool.acting is not target and not self._holds_back(pool, target, now):
            target.is_waiting = True
            self._show.waits(target)

    def _holds_back(self, pool: Pool, target: Target, now: float) -> bool:
        """Whether a withdrawal that is due waits because of a common cause, which is said then."""
        left = (pool.held_back_until(target) or 0.0) - now
        if left <= 0:
            return False
        target.is_waiting = True
        self._show.is_held_back(pool, target, left)
        return True

    def _withdraw(self, pool: Pool, target: Target, now: float) -> None:
        if self._holds_back(pool, target, now):
            return
        assert target.certain_since is not None
        if now < target.certain_since + RANK_SECONDS * self._fleet.watch.rank:
            return
        if target.asked_in_vain:
            self._ask_ahead(target)
        # An endpoint that takes its time to answer must not keep the others of its VIP waiting.
        if target.is_awaited(now):
            return
        self._act(pool, target, State.CRITICAL)

    def _act(self, pool: Pool, target: Target, state: State) -> None:
        pool.acting, target.is_waiting = target, False
        self._acting += 1
        self.look_pause.make_room()
        ahead, target.ahead = target.ahead, None
        self._acts.begin(self._fleet, target, state, ahead=ahead, is_look=False)

    def ask_ahead(self, target: Target, now: float) -> None:
        """Ask what a withdrawal will need; not so often that a liar could keep all busy."""
        if (ahead := target.ahead) and (not ahead.is_done or now - ahead.at < AHEAD_PAUSE):
            return
        pool = self.pools[target.vip.name]
        # Answers are fresh for a second, and the acts of a VIP follow one another.
        if pool.acting or now < target.withdrawing.not_before - AHEAD_OF:
            return
        if target.judgement.present is False or now < (pool.held_back_until(target) or 0.0):
            return
        self._asking = [one for one in self._asking if not one.is_done]
        if len(self._asking) < MOST_AHEAD:
            self._ask_ahead(target)

    def _ask_ahead(self, target: Target) -> None:
        target.ahead = self._acts.ask_ahead(self._fleet, target)
        self._asking.append(target.ahead)
        self.look_pause.make_room()

    def acted(self, acted: Acted) -> None:
        """Take note of what came of an act or of a look."""
        target, now = acted.target, self._clock.monotonic()
        if acted.is_look:
            self._looking -= 1
            target.is_looking = False
        else:
            self._acting -= 1
        for pool in self.pools.values():
            if pool.acting is target and not acted.is_look:
                pool.acting = None
        outcome = acted.outcome
        target.next_look = now + look_pause_after(outcome, self.pace)
        if outcome is None:
            target.withdrawing.refused(now, 0.0)
            target.restoring.refused(now, 0.0)
        elif outcome.has_acted:
            target.withdrawing.not_before = target.restoring.not_before = now + SEEN_SECONDS
        elif not acted.is_look:
            again = outcome.decision.again if outcome.decision else 0.0
            wanted = target.withdrawing if outcome.request.failing else target.restoring
            wanted.refused(now, again)
        if outcome:
            self._show.acted(acted, outcome)

    def look(self, target: Target) -> bool:
        """Look as `enforce` does, which also does what a lost event has left undone.

        Returns:
            Whether the look has begun; it is due for longer where it could not.
        """
        judged = target.judgement
        if target.is_looking or not self.can_look:
            return False
        if self.pools[target.vip.name].acting is target:
            return False
        # A look hands on the state as certain. What is about to fail has its own way, which waits.
        if judged.state_type is not StateType.HARD or judged.is_certain_failure:
            return False
        if judged.state is State.UNKNOWN:
            return False
        self._looking += 1
        self._note_downtime(target, self._clock.monotonic())
        target.is_looking = True
        target.next_look = float("inf")
        self._acts.begin(self._fleet, target, judged.state, ahead=None, is_look=True)
        return True
