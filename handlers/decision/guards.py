"""The guards: reasons that forbid withdrawing an endpoint where the VIP is present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facts import Action, Decision, Policy, State

if TYPE_CHECKING:
    from .situation import Counted, Seen

HOLD_UNKNOWN = "cannot tell whether it is held"


def find_guard(policy: Policy, seen: Seen, counted: Counted | None) -> Decision | None:
    """Find the guard that forbids a withdrawal, or ask for the count that a guard needs first."""

    def refuse(rule: str, why: str) -> Decision:
        return Decision(Action.REFUSE, rule, f"refused: {why}", State.CRITICAL)

    held = seen.held
    # A person who held a withdrawn endpoint wanted it out of the routing, so the hold does not
    # protect an endpoint that something has brought back since.
    if held and held.present and not held.expired:
        return refuse("held", str(held))
    if policy.never_withdraw:
        return refuse("never-withdraw", "never_withdraw is set for this endpoint")
    if counted is None:
        return Decision(Action.COUNT, "count", "the others have to be counted", State.UNKNOWN)
    if counted.others is None:
        return refuse("cannot-count", f"cannot count who else announces it: {counted.trouble}")
    if counted.others < counted.floor:
        left = f"{counted.others} of {counted.endpoints} would announce it"
        return refuse("floor", f"{left} and the floor is {counted.floor}{counted.unasked}")
    return None
