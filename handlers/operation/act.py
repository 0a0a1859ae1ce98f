"""What happens on the endpoint, under the lock: look, count, decide, confirm, act, verify."""

from __future__ import annotations

import time
from contextlib import ExitStack

from anycast_checks.routing import DAEMONS

from ..activators.activator import Activator
from ..decision.automation import decide
from ..decision.facts import Action, Counted, Decision, Policy, Seen, State
from ..decision.person import decide_drill, decide_restore, decide_withdraw
from ..endpoint.confirmation import confirm
from ..endpoint.look import Look
from ..endpoint.notes import Notebook
from ..endpoint.site import Site, Step
from ..errors import HandlerError, TooLateError, UncountableError
from ..fleet.values import Fleet
from ..routing.follow import Routing
from ..transport.deadline import RUN_SECONDS, Deadline
from ..transport.shell import open_shell
from .lock import Lock, lock
from .outcome import Outcome

# OSPF ignores a change that follows its own last one too soon, for 5 to 9 s.
BETWEEN_CHANGES = 1.5
# Note, act, its fallback and the looks between, on an endpoint that is slow.
ACT_SECONDS = 8.0


def act(fleet: Fleet, outcome: Outcome, policy: Policy, deadline: Deadline) -> None:
    """Do what the rules say for the outcome's request, and put into it what came of it.

    Connects before it takes the lock of the VIP, so that an endpoint that does not answer does
    not keep others waiting.

    Raises:
        HandlerError: we could not do something; the outcome has the steps so far.
    """
    request = outcome.request
    with ExitStack() as stack:
        with outcome.timed("connect"):
            shell = stack.enter_context(open_shell(request.endpoint, fleet.ssh, deadline))
        with outcome.timed("wait for the lock"):
            held = stack.enter_context(lock(fleet.paths.state, request.vip.name, deadline))
        siblings = fleet.siblings(request.vip, request.endpoint)
        site = Site(shell, request.vip, siblings, request.dry_run, outcome.steps)
        routing = Routing(fleet, request.vip, request.endpoint, shell, deadline, DAEMONS)
        _Act(outcome, policy, site, held, routing, deadline).run()


class _Act:
    def __init__(
        self,
        outcome: Outcome,
        policy: Policy,
        site: Site,
        held: Lock,
        routing: Routing,
        deadline: Deadline,
    ) -> None:
        self._request = outcome.request
        self._outcome = outcome
        self._policy = policy
        self._site = site
        self._lock = held
        self._routing = routing
        self._notes = Notebook(site, outcome.request)
        self._deadline = deadline

    def run(self) -> None:
        outcome, site = self._outcome, self._site
        with outcome.timed("look"):
            look = outcome.look = site.look()
        outcome.announced_before = look.announced
        outcome.note(look.trouble)
        decision = outcome.decision = self._decide(look)
        if decision.action in (Action.WITHDRAW, Action.RESTORE):
            self._require_time()
        if decision.action is Action.WITHDRAW:
            self._withdraw(look)
        elif decision.action is Action.RESTORE:
            self._restore(look, decision)
        else:
            if decision.action is Action.UNLATCH:
                outcome.note(self._notes.take_latch_off(look))
            self._leave(look, decision)

    def _clock(self) -> int:
        try:
            return self._site.clock()
        except HandlerError as error:
            # It only costs the memory of earlier withdrawals, and no hold ends before its time.
            self._outcome.note(str(error))
            return 0

    def _require_time(self) -> None:
        left = self._deadline.left(RUN_SECONDS)
        if left < ACT_SECONDS:
            raise TooLateError(
                f"refused: {left:.1f} s are left of this run, too few to act and verify"
            )

    def _decide(self, look: Look) -> Decision:
        seen = look.seen(self._clock() if look.needs_clock else 0)
        if self._request.verb == "enforce" and (look.announced or look.latch_age is not None):
            # Whether it could count is said long before the night on which it must; and what
            # is withdrawn although too few are left has to come back.
            self._outcome.counted = self._count()
        confirmed = None
        while True:
            decision = self._judge(seen, self._outcome.counted, confirmed)
            if decision.action is Action.COUNT:
                self._outcome.counted = self._count()
            elif decision.action is Action.CONFIRM:
                with self._outcome.timed("run the endpoint's own check"):
                    confirmed, self._outcome.check_said = confirm(self._site)
            else:
                return decision

    def _judge(self, seen: Seen, counted: Counted | None, confirmed: State | None) -> Decision:
        request = self._request
        if request.state is not None and request.state_type is not None:
            return decide(request.state, request.state_type, self._policy, seen, counted, confirmed)
        if request.verb == "withdraw":
            return decide_withdraw(self._policy, seen, counted, force=request.force)
        if request.verb == "drill":
            return decide_drill(self._policy, seen, counted, confirmed)
        return decide_restore(seen, confirmed, force=request.force)

    def _count(self) -> Counted:
        vip, trouble, others = self._request.vip, "", None
        try:
            with self._outcome.timed("count the others"):
                others = self._routing.count()
        except UncountableError as error:
            trouble = str(error)
        age = self._lock.since_withdrawal_elsewhere(self._request.endpoint.name)
        left = 0.0 if age is None else max(0.0, vip.spacing - age)
        return Counted(others, vip.floor, len(vip.endpoints), trouble, left)

    def _leave(self, look: Look, decision: Decision) -> None:
        """End without an act of routing; a person's order about holds still counts."""
        if not self._request.dry_run and decision.action is not Action.REFUSE:
            if self._request.verb == "withdraw":
                self._outcome.note(self._hold_by_hand())
            elif self._request.verb == "restore" and look.may_be_held:
                self._outcome.note(self._notes.remove_hold())
        self._outcome.conclude(decision)

    def _withdraw(self, before: Look) -> None:
        outcome, site = self._outcome, self._site
        activator = site.activator()
        self._keep_apart(before)
        # A run that is ended between a note and its act leaves what the next one can put right.
        trouble = self._hold_by_hand() if self._request.by_hand else ""
        outcome.note(trouble or self._put_latch_on(before))
        withdrawn_at = time.monotonic()
        with outcome.timed("take the address off lo"):
            after, did = site.withdraw(activator, before)
        if self._request.dry_run:
            outcome.would_run()
            return
        outcome.look = after
        lost = before.neighbors - after.neighbors
        outcome.verified = {
            "address": not after.announced and not after.elsewhere,
            "other_addresses": not lost,
        }
        if lost:
            outcome.note(f"{site.vip.placement.interface} also lost {', '.join(sorted(lost))}")
        if after.announced:
            # What was not heard of may still take the address away: then the latch is needed.
            if all(step.status is not None for step in site.steps):
                self._notes.take_latch_back(before)
                if self._request.by_hand:
                    self._notes.take_hold_back(before)
            outcome.acted_in_vain(f"still announced: {_last_words(site.steps)}")
            return
        if not self._request.by_hand:
            outcome.note(self._lock.note_withdrawal(self._request.endpoint.name))
        self._follow_withdrawal(activator, before, withdrawn_at, did)

    def _follow_withdrawal(
        self, activator: Activator, before: Look, withdrawn_at: float, did: str
    ) -> None:
        """See what has come of it in the routing, and take it back where too few are left."""
        outcome, after, verified = self._outcome, self._outcome.look, self._outcome.verified
        assert after is not None
        gone = self._see_in_routing(announced=False)
        with outcome.timed("count again"):
            recount = self._routing.recount(withdrawn_at, gone_here=gone)
        outcome.note(recount.trouble)
        if recount.seen_elsewhere is not None:
            verified["count_elsewhere"] = recount.seen_elsewhere
        few = recount.others is not None and recount.others < self._request.vip.floor
        if few and recount.others is not None and not self._request.force:
            self._take_back(activator, before, recount.others)
            return
        if not self._request.by_hand:
            outcome.note(self._notes.keep_latch_on(self._why()))
        if after.elsewhere:
            outcome.acted_in_vain(f"left lo, but is still on {', '.join(after.elsewhere)}")
        elif not verified["other_addresses"]:
            outcome.acted_in_vain("withdrawn, and more than that")
        elif gone is False:
            outcome.acted_in_vain("withdrawn from lo, but still in OSPF")
        elif recount.seen_elsewhere is False:
            outcome.acted_in_vain("withdrawn, but another endpoint still has it in OSPF")
        else:
            outcome.done(f"withdrawn by {did}", State.WARNING)

    def _see_in_routing(self, *, announced: bool) -> bool | None:
        what = "see it in OSPF again" if announced else "see it leave OSPF"
        with self._outcome.timed(what):
            own = self._routing.wait_for_own(announced=announced)
        self._outcome.note(own.trouble)
        if own.followed is not None:
            self._outcome.verified["own_lsa"] = own.followed
        return own.followed

    def _take_back(self, activator: Activator, before: Look, others: int) -> None:
        vip, withdrawn = self._request.vip, self._outcome.look
        assert withdrawn is not None
        few = f"{others} of {len(vip.endpoints)} announce it and the floor is {vip.floor}"
        after, did = self._site.restore(activator, withdrawn)
        self._outcome.look = after
        self._outcome.verified["address"] = after.announced
        if after.announced:
            if self._request.by_hand:
                self._outcome.note(self._notes.take_hold_back(before))
            self._outcome.note(self._notes.note_restore(after))
            self._outcome.refuse(f"withdrawn and restored by {did}: {few}")
        else:
            words = _last_words(self._site.steps)
            self._outcome.acted_in_vain(f"withdrawn, and could not be restored: {few}: {words}")

    def _restore(self, before: Look, decision: Decision) -> None:
        outcome, site = self._outcome, self._site
        activator = site.activator()
        self._keep_apart(before)
        recovered = decision.rule == "restore"
        if recovered and not self._request.dry_run:
            # Without a record the next restore would know nothing of this one.
            trouble = self._notes.note_restore_to_come(before)
            if trouble:
                outcome.refuse(f"withdrawn: not restored without a record: {trouble}")
                return
        with outcome.timed("bring the address back to lo"):
            after, did = site.restore(activator, before)
        if self._request.dry_run:
            outcome.would_run()
            return
        outcome.look = after
        outcome.verified = {"address": after.announced}
        if not after.announced:
            outcome.acted_in_vain(f"could not be restored: {_last_words(site.steps)}")
            return
        if before.may_be_held:
            outcome.note(self._notes.remove_hold())
        outcome.note(self._notes.note_restore(after))
        if self._see_in_routing(announced=True) is False:
            outcome.acted_in_vain("on lo again, but not announced in OSPF")
        else:
            outcome.done(f"restored by {did}", decision.severity)

    def _keep_apart(self, look: Look) -> None:
        since = look.since_change
        if since is not None and not self._request.dry_run:
            time.sleep(max(0.0, BETWEEN_CHANGES - since))

    def _put_latch_on(self, before: Look) -> str:
        return self._notes.put_latch_on(before, self._why())

    def _why(self) -> str:
        return self._outcome.check_said or self._request.reason

    def _hold_by_hand(self) -> str:
        return self._notes.place_hold(self._request.reason or "by hand", announced=False)


def _last_words(steps: list[Step]) -> str:
    for step in reversed(steps):
        if step.status != 0:
            return f"{' '.join(step.argv)}: {step.said or f'exit status {step.status}'}"
    return "every command said that it worked"
