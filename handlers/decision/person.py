"""What the verbs for a person decide: the same guards apply, and --force overrides them."""

from __future__ import annotations

from .facts import Action, Decision, Policy, State
from .guards import HOLD_UNKNOWN, NOT_ANNOUNCED, find_guard, find_guards, refuse_elsewhere, settle
from .situation import Counted, Seen

BY_HAND = Decision(Action.WITHDRAW, "by-hand", "by hand", State.WARNING)


def decide_withdraw(
    policy: Policy, seen: Seen, counted: Counted | None, *, force: bool
) -> Decision:
    """Decide for a person who wants the endpoint out of the routing, healthy or not."""
    if seen.misplaced:
        return refuse_elsewhere(seen, State.CRITICAL)
    if not seen.present:
        return Decision(Action.NOTHING, "already-withdrawn", "nothing left to do", State.WARNING)
    if force:
        return _override(policy, seen, counted)
    guarded = find_guard(policy, seen, counted)
    if guarded is None:
        return BY_HAND
    if guarded.action is Action.REFUSE:
        guarded = guarded._replace(reason=f"{guarded.reason} (--force overrides it)")
    return settle(guarded, seen)


def _override(policy: Policy, seen: Seen, counted: Counted | None) -> Decision:
    """Withdraw whatever the guards say, and name each guard, so that nothing is lost unsaid."""
    guards = list(find_guards(policy, seen, counted))
    if counted is None:
        return guards[-1]
    said = [guard.reason.removeprefix("refused: ") for guard in guards]
    if not counted.others:
        certain = counted.others == 0 and not counted.may_be_more
        said.append(f"{'' if certain else 'perhaps '}no endpoint would announce it")
    reason = f"by hand, overriding: {'; '.join(said)}" if said else "by hand"
    overridden = tuple(guard.rule for guard in guards)
    return Decision(Action.WITHDRAW, "by-hand", reason, State.WARNING, overridden)


def decide_drill(
    policy: Policy,
    seen: Seen,
    counted: Counted | None,
    confirmed: State | None,
    obstacle: str | None,
) -> Decision:
    """Decide for a drill, which needs an announced and healthy endpoint and overrides no guard.

    ``obstacle`` says what would keep the endpoint from being restored, and is empty where nothing
    would; it is None before that was tried.
    """
    if seen.elsewhere:
        return refuse_elsewhere(seen, State.WARNING)
    if not seen.present:
        why = "refused: is withdrawn; a drill is for an endpoint that is announced"
        return Decision(Action.REFUSE, "already-withdrawn", why, State.WARNING)
    guarded = find_guard(policy, seen, counted)
    if guarded is not None:
        return settle(guarded, seen)
    if counted and counted.announced is False:
        # It would be withdrawn from nothing, and no restore would be seen in the routing.
        why = f"refused: {NOT_ANNOUNCED}"
        return settle(Decision(Action.REFUSE, "not-restorable", why, State.WARNING), seen)
    return settle(_decide_for_the_restore(seen, confirmed, obstacle), seen)


def _decide_for_the_restore(seen: Seen, confirmed: State | None, obstacle: str | None) -> Decision:
    """Decide on what the restore at the end of a drill needs."""

    def refuse(rule: str, why: str) -> Decision:
        return Decision(Action.REFUSE, rule, f"refused: {why}", State.WARNING)

    if seen.may_be_held:
        # The restore at the end of the drill would release the hold.
        return refuse("held", f"{seen.held or HOLD_UNKNOWN}")
    if confirmed is None:
        return Decision(Action.CONFIRM, "confirm", "the check has to run once more", State.UNKNOWN)
    if confirmed is not State.OK:
        return refuse("not-confirmed", f"the endpoint's own check says {confirmed.name}")
    if obstacle is None:
        return Decision(Action.REHEARSE, "rehearse", "a restore has to be tried", State.UNKNOWN)
    if obstacle:
        return refuse("not-restorable", f"it could not be restored: {obstacle}")
    return BY_HAND


def decide_restore(seen: Seen, confirmed: State | None, *, force: bool) -> Decision:
    """Decide for a person who wants the endpoint back in the routing."""
    if seen.present and not seen.misplaced:
        there = Decision(Action.NOTHING, "announced", "nothing left to do", State.OK)
        return settle(there, seen)
    if confirmed is None:
        return Decision(Action.CONFIRM, "confirm", "the check has to run once more", State.UNKNOWN)
    beside = f"; it is on {seen.elsewhere} too" if seen.elsewhere else ""
    if confirmed is State.OK:
        return Decision(Action.RESTORE, "by-hand", f"by hand, and confirmed{beside}", State.OK)
    why = f"the endpoint's own check says {confirmed.name}"
    if force:
        reason = f"by hand, although {why}{beside}"
        return Decision(Action.RESTORE, "by-hand", reason, State.OK, ("not-confirmed",))
    why = f"refused: {why} (--force overrides it)"
    return Decision(Action.REFUSE, "not-confirmed", why, State.WARNING)
