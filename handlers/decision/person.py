"""What the verbs for a person decide: the same guards apply, and --force overrides them."""

from __future__ import annotations

from .facts import Action, Decision, Policy, State
from .guards import HOLD_UNKNOWN, find_guard
from .situation import Counted, Seen


def decide_withdraw(
    policy: Policy, seen: Seen, counted: Counted | None, *, force: bool
) -> Decision:
    """Decide for a person who wants the endpoint out of the routing, healthy or not."""
    if not seen.present:
        return Decision(Action.NOTHING, "already-withdrawn", "nothing left to do", State.WARNING)
    guarded = find_guard(policy, seen, counted)
    if guarded is None or guarded.action is Action.COUNT:
        return guarded or Decision(Action.WITHDRAW, "by-hand", "by hand", State.WARNING)
    if force:
        overridden = guarded.reason.removeprefix("refused: ")
        return Decision(
            Action.WITHDRAW, "by-hand", f"by hand, overriding: {overridden}", State.WARNING
        )
    return guarded._replace(reason=f"{guarded.reason} (--force overrides it)")


def decide_drill(
    policy: Policy, seen: Seen, counted: Counted | None, confirmed: State | None
) -> Decision:
    """Decide for a drill, which needs an announced and healthy endpoint and overrides no guard."""
    if not seen.present:
        why = "refused: is withdrawn; a drill is for an endpoint that is announced"
        return Decision(Action.REFUSE, "already-withdrawn", why, State.WARNING)
    decision = decide_withdraw(policy, seen, counted, force=False)
    if decision.action is Action.WITHDRAW and seen.may_be_held:
        # The restore at the end of the drill would release the hold.
        why = f"refused: {seen.held or HOLD_UNKNOWN}"
        return Decision(Action.REFUSE, "held", why, State.WARNING)
    if decision.action is not Action.WITHDRAW or confirmed is State.OK:
        return decision
    if confirmed is None:
        return Decision(Action.CONFIRM, "confirm", "the check has to run once more", State.UNKNOWN)
    why = f"refused: the endpoint's own check says {confirmed.name}"
    return Decision(Action.REFUSE, "not-confirmed", why, State.WARNING)


def decide_restore(seen: Seen, confirmed: State | None, *, force: bool) -> Decision:
    """Decide for a person who wants the endpoint back in the routing."""
    if seen.present:
        return Decision(Action.NOTHING, "announced", "nothing left to do", State.OK)
    if confirmed is None:
        return Decision(Action.CONFIRM, "confirm", "the check has to run once more", State.UNKNOWN)
    if confirmed is State.OK:
        return Decision(Action.RESTORE, "by-hand", "by hand, and confirmed", State.OK)
    why = f"the endpoint's own check says {confirmed.name}"
    if force:
        return Decision(Action.RESTORE, "by-hand", f"by hand, although {why}", State.OK)
    why = f"refused: {why} (--force overrides it)"
    return Decision(Action.REFUSE, "not-confirmed", why, State.WARNING)
