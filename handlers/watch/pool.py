"""One VIP and all its endpoints: one act at a time, and what many failures have in common."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..decision.facts import Action, State
from ..fleet.values import Fleet, Vip
from .board import Failover, VipState
from .cause import Cause, Failing, common_cause
from .target import Target

if TYPE_CHECKING:
    from ..operation.outcome import Outcome

SOON_SECONDS = 1.0
# So many changes of an endpoint within so many seconds have the others tried again.
MOST_CHANGES, CHANGES_SECONDS = 5, 60.0


class Pool:
    """The targets of one VIP; it is changed by the main loop of the watcher alone.

    Attributes:
        vip: the VIP.
        targets: one for each endpoint that is watched.
        acting: the target that is acted on; None while there is none.
        cause: what many of them fail of, while they do.
        shown: the VIP as the board shows it, without its endpoints.
    """

    def __init__(self, fleet: Fleet, vip: Vip, targets: list[Target]) -> None:
        self.vip = vip
        self.targets = targets
        self.acting: Target | None = None
        self.cause: Cause | None = None
        self.shown = VipState(vip.name, vip.address, vip.floor, (), routing=vip.routing)
        self._changed: dict[Target, deque[float]] = {}
        self._announcing: int | None = None
        self._patience = fleet.watch.common_cause_patience

    def find_cause(self) -> Cause | None:
        """Look for what many endpoints fail of; returns it where it was not known before."""
        failing = [
            Failing(one.endpoint.name, judged.failing_since, judged.kind)
            for one in self.targets
            if (judged := one.judgement).failing_since is not None
        ]
        before, self.cause = self.cause, common_cause(failing, len(self.vip.endpoints))
        return self.cause if self.cause and before is None else None

    def held_back_until(self, target: Target) -> float | None:
        """Give until when a withdrawal waits, because the failure may have a common cause."""
        cause = self.cause
        if cause is None or target.endpoint.name not in cause.endpoints:
            return None
        return self.patient_until(cause)

    def patient_until(self, cause: Cause) -> float:
        """Give until when a cause is left to a person, by the clock of whoever heard."""
        return cause.since + self._patience

    def take_over(self, before: Pool) -> None:
        """Go on where the pool of an earlier fleet file has ended."""
        self.acting, self.cause = before.acting, before.cause
        self._announcing = before._announcing
        shown = before.shown
        self.shown = self.shown._replace(failovers=shown.failovers, spent=shown.spent)

    def acted(self, outcome: Outcome) -> None:
        """Take note of what a look or an act has counted in the routing."""
        count = outcome.count
        if count is None:
            return
        own = count.announced
        if outcome.has_acted and outcome.decision:
            # The count was before the act.
            own = outcome.decision.action is Action.RESTORE
        if count.others is None and not count.trouble:
            # The others were not asked. Each is looked at by itself.
            told = [one.announced for one in self.targets]
            self._announcing = None if None in told else sum(map(bool, told))
            return
        is_known = not (own is None or count.others is None or count.may_be_more)
        self._announcing = (count.others or 0) + bool(own) if is_known else None

    def announcing(self) -> int | None:
        """How many endpoints announce the VIP by the last count; None where nobody can tell."""
        if self.vip.routing == "none":
            # Something else than a routing daemon announces the VIP, wherever it is present.
            present = [one.judgement.present for one in self.targets]
            return None if None in present else sum(map(bool, present))
        is_heard = any(one.judgement.state is not State.UNKNOWN for one in self.targets)
        return self._announcing if is_heard else None

    def note(self, failover: Failover) -> None:
        """Remember a failover for the board."""
        self.shown = self.shown.with_failover(failover)

    def others_changed(self, target: Target, now: float) -> None:
        """Let the others be tried again soon: how many announce has changed.

        Soon and not at once, and not without end, since an endpoint may say anything about itself.
        """
        changed = self._changed.setdefault(target, deque(maxlen=MOST_CHANGES))
        if len(changed) == MOST_CHANGES and now - changed[0] < CHANGES_SECONDS:
            return
        changed.append(now)
        for one in self.targets:
            if one is not target:
                wait = one.withdrawing
                wait.not_before = min(wait.not_before, now + SOON_SECONDS)
