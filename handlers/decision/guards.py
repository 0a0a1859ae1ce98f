"""The guards: reasons that forbid withdrawing an endpoint where the VIP is present."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from anycast_checks.times import utc

from .facts import Action, CommonCause, Decision, Policy, State

if TYPE_CHECKING:
    from .situation import Counted, Seen

# By this rule many endpoints that fail of one cause are left to a person for a while.
COMMON_CAUSE = "common-cause"
HOLD_UNKNOWN = "cannot tell whether it is held"
NOT_ANNOUNCED = "its routing daemon does not announce it: run doctor to see why"
# So many withdrawals that were taken back within ten minutes are enough.
MOST_TAKE_BACKS = 2


def find_guard(
    policy: Policy, seen: Seen, counted: Counted | None, *, automatic: bool = False
) -> Decision | None:
    """Find the first guard that forbids a withdrawal, or ask for the count that it needs."""
    return next(find_guards(policy, seen, counted, automatic=automatic), None)


def find_guards(
    policy: Policy, seen: Seen, counted: Counted | None, *, automatic: bool = False
) -> Iterator[Decision]:
    """Find each guard that forbids a withdrawal; last, ask for the count if there is none yet.

    An automatic withdrawal is also refused after too many that were taken back: the count before a
    withdrawal and the count after it contradict each other there, and a person has to see why.
    """
    held = seen.held
    # A person who held a withdrawn endpoint wanted it out of the routing, so the hold does not
    # protect an endpoint that something has brought back since.
    if held and held.present and not held.expired:
        yield _refuse("held", str(held))
    if policy.never_withdraw:
        yield _refuse("never-withdraw", "never_withdraw is set for this endpoint")
    if automatic and seen.take_backs >= MOST_TAKE_BACKS:
        many = f"{seen.take_backs} withdrawals were taken back within 10 minutes"
        yield _refuse("take-backs", f"{many}: run doctor, or withdraw it by hand")
    if automatic and policy.common_cause:
        yield refuse_together(policy.common_cause)
    if counted is None:
        yield Decision(Action.COUNT, "count", "the others have to be counted", State.UNKNOWN)
    elif counted.others is None:
        yield _refuse("cannot-count", f"cannot count who else announces it: {counted.trouble}")
    elif counted.is_few:
        yield _refuse("floor", f"{counted.describe('would announce')}{counted.unasked}")


def refuse_together(cause: CommonCause) -> Decision:
    """Refuse to withdraw an endpoint that fails together with many others, for the time being."""
    why = f"not before {utc(cause.until)}: {cause.text}"
    return Decision(Action.REFUSE, COMMON_CAUSE, why, State.CRITICAL, again=cause.left)


def refuse_elsewhere(seen: Seen, severity: State) -> Decision:
    """Refuse to act on an endpoint where the VIP is on other interfaces than its own."""
    own = "and not on its own interface" if seen.misplaced else "as well as on its own interface"
    where = f"refused: it is on {seen.elsewhere}, {own}"
    what = "take it off there by hand, or correct the fleet file"
    return Decision(Action.REFUSE, "elsewhere", f"{where}: {what}", severity)


def settle(decision: Decision, seen: Seen) -> Decision:
    """Have a latch taken off that is on although the VIP is present, whoever has restored it.

    A latch that stayed on would let the automation undo what a person does next.
    """
    if not seen.is_left_over:
        return decision
    if decision.action is Action.NOTHING:
        return decision._replace(action=Action.UNLATCH, unlatch=True)
    return decision._replace(unlatch=decision.action is Action.REFUSE)


def _refuse(rule: str, why: str) -> Decision:
    return Decision(Action.REFUSE, rule, f"refused: {why}", State.CRITICAL)
