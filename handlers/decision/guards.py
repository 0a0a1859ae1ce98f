"""The guards: what forbids to withdraw an endpoint that carries the VIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facts import Action, Decision, Policy, State

if TYPE_CHECKING:
    from .situation import Counted, Seen

HOLD_UNKNOWN = "cannot tell whether it is held"


def find_guard(policy: Policy, seen: Seen, counted: Counted | None) -> Decision | None:
    """Find the guard that forbids to withdraw an announced endpoint, or that has to be asked."""

    def refuse(rule: str, why: str) -> Decision:
        return Decision(Action.REFUSE, rule, f"refused: {why}", State.CRITICAL)

    held = seen.held
    # Who held a withdrawn endpoint wanted it out: what has announced it since is not protected.
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
        return refuse("floor", f"{left} and the floor is {counted.floor}")
    return None
