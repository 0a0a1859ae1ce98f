"""What the automation does about one VIP on one endpoint: a pure function that decides.

The rules stand in the order of the table in docs/architecture.rst. The first that matches wins.

Only the rule "too-few" restores without a confirmation. It is there for two monitoring hosts that
have withdrawn one endpoint each at the same moment, where the host that had to take its withdrawal
back is dead. So it is bound to the moment of such a race: to a young latch, and to a count in which
nobody is missing. Later, too few announce because others have failed or cannot be asked, and a dead
endpoint in the routing would help nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anycast_checks.times import lasting

from .facts import Action, Decision, Policy, State, StateType
from .guards import HOLD_UNKNOWN, NOT_ANNOUNCED, find_guard, refuse_elsewhere, settle

if TYPE_CHECKING:
    from .situation import Counted, Seen

# Name of the rule by which the automation restores an endpoint that has recovered.
RECOVERED = "restore"
NOT_CONFIRMED = "not-confirmed"
# Name of the rule that takes a withdrawal back where too few others announce.
TOO_FEW = "too-few"
STOPPED = "stopped"
SPACING = "spacing"
# An older latch is of no withdrawal that another monitoring host has raced with.
RACE_SECONDS = 30.0
LONGEST_HOLD_DOWN = 3600.0
NOT_OURS = "not withdrawn by the automation: restore by hand"


def decide(
    state: State,
    state_type: StateType,
    policy: Policy,
    seen: Seen | None = None,
    counted: Counted | None = None,
    confirmed: State | None = None,
) -> Decision:
    """Decide what the automation does.

    Args:
        state: the state of the health service, as the engine knows it.
        state_type: SOFT or HARD.
        policy: what the fleet file, the stop file and the engine say.
        seen: what a look at the endpoint showed; None before the look.
        counted: how many other endpoints announce; None before they are counted.
        confirmed: what the endpoint's own check said just now; None before it has run.
    """
    failed = state is State.CRITICAL and state_type is StateType.HARD
    if policy.stopped:
        return _stopped(seen, failed=failed)
    if seen is None:
        if failed or state is State.OK:
            why = "the endpoint has not been looked at"
            return Decision(Action.LOOK, "look", why, State.UNKNOWN)
        return _decide_nothing(state, state_type, policy, seen, counted)
    if seen.misplaced:
        return refuse_elsewhere(seen, State.CRITICAL if failed else State.WARNING)
    if failed:
        return settle(_decide_failed(policy, seen, counted, confirmed), seen)
    too_few = _decide_too_few(policy, seen, counted)
    if too_few is not None and state in (State.OK, State.WARNING):
        return too_few
    if state is State.OK:
        return settle(_decide_recovered(policy, seen, counted, confirmed), seen)
    return settle(_decide_nothing(state, state_type, policy, seen, counted), seen)


def _decide_nothing(
    state: State,
    state_type: StateType,
    policy: Policy,
    seen: Seen | None,
    counted: Counted | None,
) -> Decision:
    def rest(why: str, severity: State) -> Decision:
        return Decision(Action.NOTHING, "not-actionable", why, severity)

    if policy.unwatched:
        return rest(policy.unwatched, State.WARNING)
    if seen and not seen.present:
        if seen.hold_unknown or (seen.held and seen.held.unreadable):
            # A hold that cannot be read hides whether a person withdrew the endpoint.
            return rest(str(seen.held or HOLD_UNKNOWN), State.WARNING)
        ours = seen.latch_age is not None
        why = f"waits for the service to recover from {state.name}" if ours else NOT_OURS
        return rest(why, State.WARNING)
    if seen and (fault := _find_fault(seen, counted)):
        return rest(fault, State.WARNING)
    return rest(f"{state.name} {state_type.name} is nothing to act on", State.OK)


def _stopped(seen: Seen | None, *, failed: bool) -> Decision:
    attracts = seen is None or seen.present
    if failed and attracts:
        return Decision(Action.REFUSE, STOPPED, "refused: the stop file exists", State.CRITICAL)
    return Decision(Action.NOTHING, STOPPED, "the stop file exists", State.WARNING)


def _decide_too_few(policy: Policy, seen: Seen, counted: Counted | None) -> Decision | None:
    """Restore an endpoint that was withdrawn just now, where too few others announce."""
    if seen.present or seen.latch_age is None or seen.latch_age >= RACE_SECONDS:
        return None
    if seen.may_be_held or policy.downtime:
        return None
    if counted is None or not counted.is_surely_few:
        return None
    return Decision(Action.RESTORE, TOO_FEW, counted.describe(), State.CRITICAL)


def _decide_failed(
    policy: Policy, seen: Seen, counted: Counted | None, confirmed: State | None
) -> Decision:
    if not seen.present:
        why = HOLD_UNKNOWN if seen.hold_unknown else "nothing left to do"
        return Decision(Action.NOTHING, "already-withdrawn", why, State.WARNING)
    guarded = find_guard(policy, seen, counted, automatic=True)
    if guarded is not None:
        return guarded
    if counted and counted.spacing_left > 0:
        why = f"not yet: another endpoint was withdrawn, {counted.spacing_left:.1f} s to wait"
        again = counted.spacing_left
        return Decision(Action.REFUSE, SPACING, why, State.CRITICAL, again=again)
    if confirmed is None:
        return Decision(Action.CONFIRM, "confirm", "the check has to run once more", State.UNKNOWN)
    if confirmed is not State.CRITICAL:
        why = f"not confirmed: the endpoint's own check says {confirmed.name}"
        return Decision(Action.REFUSE, NOT_CONFIRMED, why, State.WARNING)
    return Decision(Action.WITHDRAW, "withdraw", "failed, and confirmed", State.WARNING)


def _decide_recovered(
    policy: Policy, seen: Seen, counted: Counted | None, confirmed: State | None
) -> Decision:
    if seen.present:
        return _decide_settled(policy, seen, counted)
    waits = _awaited(policy, seen)
    if waits is not None:
        return waits
    if confirmed is None:
        return Decision(Action.CONFIRM, "confirm", "the check has to run once more", State.UNKNOWN)
    if confirmed is not State.OK:
        why = f"not confirmed: the endpoint's own check says {confirmed.name}"
        return Decision(Action.REFUSE, NOT_CONFIRMED, why, State.WARNING)
    return Decision(Action.RESTORE, RECOVERED, "recovered, and confirmed", State.OK)


def _decide_settled(policy: Policy, seen: Seen, counted: Counted | None) -> Decision:
    def rest(rule: str, why: str, severity: State) -> Decision:
        return Decision(Action.NOTHING, rule, why, severity)

    if seen.held:
        odd = ""
        if seen.held.expired:
            odd = ", and that hold has expired: release it, or hold it anew"
        elif seen.held.unreadable:
            odd = ": make it readable, release it, or hold it anew"
        elif not seen.held.present:
            odd = " while it was withdrawn: withdraw it again, or release it"
        severity = State.WARNING if odd else State.OK
        return rest("held", f"{seen.held}{odd}", severity)
    if seen.hold_unknown:
        return rest("held", HOLD_UNKNOWN, State.WARNING)
    fault = _find_fault(seen, counted) or policy.unwatched
    if fault:
        return rest("announced", fault, State.WARNING)
    return rest("announced", "as it should be", State.OK)


def _find_fault(seen: Seen, counted: Counted | None) -> str:
    """Say what is wrong with an endpoint that is present, long before a withdrawal is needed."""
    if seen.elsewhere:
        return f"a withdrawal would leave it on {seen.elsewhere}: take it off there by hand"
    # In peace it may be that nobody was counted, and that is no fault.
    if counted and counted.others is None and counted.trouble:
        return f"nothing could be withdrawn: cannot count who else announces it: {counted.trouble}"
    if counted and counted.gaps and counted.is_few:
        return f"nothing could be withdrawn: {counted.missing}"
    if counted and counted.announced is False:
        return NOT_ANNOUNCED
    return ""


def _awaited(policy: Policy, seen: Seen) -> Decision | None:
    def wait(rule: str, why: str) -> Decision:
        return Decision(Action.NOTHING, rule, why, State.WARNING)

    if seen.held:
        over = ", and that hold has expired: release it" if seen.held.expired else ""
        return wait("held", f"{seen.held}{over}")
    if seen.hold_unknown:
        return wait("held", HOLD_UNKNOWN)
    if policy.downtime:
        return wait("downtime", "in downtime: restores after it")
    if seen.latch_age is None:
        return wait("not-ours", NOT_OURS)
    if policy.restore == "manual":
        return wait("manual", 'restore = "manual": restore by hand')
    if seen.restores >= policy.max_restores:
        times = f"{seen.restores} automatic restores within a day"
        return wait("max-restores", f"{times}: restore by hand")
    left = hold_down(policy, seen.withdrawals) - seen.latch_age
    if left > 0:
        return wait("hold-down", f"restores in {lasting(left)}")._replace(again=left)
    return None


def hold_down(policy: Policy, withdrawals: int) -> float:
    """Give the seconds between a withdrawal and its automatic restore.

    They double with each withdrawal within a day, up to an hour, or up to the configured hold-down
    where that is longer.
    """
    longest = max(LONGEST_HOLD_DOWN, policy.hold_down)
    return float(min(longest, policy.hold_down * 2 ** min(max(0, withdrawals - 1), 30)))
