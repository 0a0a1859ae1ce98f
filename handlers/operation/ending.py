"""How an act ended, by a line of the log of decisions: done, taken back or failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..decision.automation import TOO_FEW
from ..decision.facts import Action, State

TAKEN_BACK = "taken back"
FAILED = "failed"
ACTS = tuple(act.value for act in (Action.WITHDRAW, Action.RESTORE, Action.HOLD, Action.RELEASE))


def ending(entry: Mapping[str, Any]) -> str:
    """Say how an act ended that did not end as it was decided; the rule of the act does not tell.

    Args:
        entry: a line of the log of decisions.

    Returns:
        ``TAKEN_BACK``: it was withdrawn and then restored, since too few others announced.
        ``FAILED``: the act was tried, and did not work or not wholly. Empty: the act was done,
        nothing was to be done, or the rule tells, as ``error`` and each refusal do.
    """
    # The exit code means one thing for a plugin and another for a person; the severity does not.
    if entry.get("severity") != State.CRITICAL.name or entry.get("action") not in ACTS:
        return ""
    found = entry.get("verified")
    verified: Mapping[str, Any] = found if isinstance(found, dict) else {}
    # An endpoint that this rule restores has not recovered, so a restore that has worked is
    # CRITICAL as well.
    is_critical_when_done = entry.get("rule") == TOO_FEW and False not in verified.values()
    if is_critical_when_done or entry.get("rule") == "error":
        return ""
    is_back = entry.get("afterwards") is True and verified.get("address") is True
    return TAKEN_BACK if is_back and entry.get("action") == Action.WITHDRAW.value else FAILED
