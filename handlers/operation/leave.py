"""The end of a run that withdraws and restores nothing: what it does about the notes."""

from __future__ import annotations

from typing import NamedTuple

from ..decision.facts import Action, Decision
from ..endpoint import notes
from ..endpoint.change import Change, Note
from ..endpoint.look import Look
from ..endpoint.mask import failed_masks
from ..errors import ChangedMeanwhileError, HandlerError
from .draining import take_over, undrain
from .parts import Parts

# Between a mask and the withdrawal that it belongs to there is less time.
MASK_SECONDS = 60.0


class Order(NamedTuple):
    """What a person's order does about a hold, and the words for it."""

    action: Action
    done: str
    dry: str
    failed: str


HOLD = Order(
    Action.HOLD,
    "nothing to withdraw, held now",
    "nothing to withdraw, would be held",
    "not held",
)
RELEASE = Order(
    Action.RELEASE,
    "nothing to restore, released now",
    "nothing to restore, would be released",
    "perhaps still held",
)


def leave(parts: Parts, look: Look, decision: Decision) -> None:
    """End without a withdrawal or a restore; a note is written or removed all the same.

    Raises:
        HandlerError: a hold, which was all that was left of a person's order, stays as it was.
    """
    outcome, is_dry, left = parts.outcome, parts.request.dry_run, []
    if decision.unlatch:
        left.append(notes.latch_off(look))
    if _mask_is_left(look) and not is_dry:
        outcome.note(_unmask(parts, look))
    if look.drain_is_left and not is_dry:
        outcome.note(_undrain(parts, look))
    elif _goes_on(parts, look, decision) and not is_dry:
        take_over(parts)
    order = _order_left(parts, look, decision)
    if order:
        # It is recorded before it is tried, so that the log has it where it fails.
        decision = decision._replace(
            action=order.action, reason=order.dry if is_dry else order.done
        )
        outcome.decided(decision)
    if order and not is_dry:
        left.append(parts.hold_by_hand() if order is HOLD else notes.NO_HOLD)
    if left and not is_dry and (trouble := _write(parts, look, left, is_ordered=bool(order))):
        if order:
            raise HandlerError(f"{order.failed}: {trouble}")
        outcome.note(trouble)
    outcome.conclude(decision)


def _write(parts: Parts, look: Look, left: list[Note], *, is_ordered: bool) -> str:
    try:
        return parts.site.note(look, *left)
    except ChangedMeanwhileError:
        if is_ordered:
            raise
        # Another run has changed the latch or the address, and the next `enforce` looks again.
        return ""


def _mask_is_left(look: Look) -> bool:
    """Whether a VIP is masked that somebody else has brought back, or that nobody has taken away.

    Another run may have put the mask on, and be about to take the VIP away.
    """
    is_ours = look.latch_age is not None and look.latch_age < MASK_SECONDS
    return bool(look.masked) and look.in_place and not is_ours


def _unmask(parts: Parts, look: Look) -> str:
    """Take a mask off that was left behind; returns what went wrong, empty where nothing did."""
    try:
        report = parts.site.change(Change(look, unmask=look.masked))
    except ChangedMeanwhileError:
        return ""
    except HandlerError as error:
        return f"the mask by {look.masked} is left: {error}"
    return failed_masks(report.done)


def _goes_on(parts: Parts, look: Look, decision: Decision) -> bool:
    """Whether a person's withdrawal was made before, and its clients may still come."""
    is_repeated = parts.request.verb.places_hold and decision.action is Action.NOTHING
    return is_repeated and look.draining is not None


def _undrain(parts: Parts, look: Look) -> str:
    """Take a route away that was left behind; returns what a person should know about it."""
    try:
        undrain(parts, look)
    except ChangedMeanwhileError:
        return ""
    except HandlerError as error:
        return f"goes on answering on it: {error}"
    return ""


def _order_left(parts: Parts, look: Look, decision: Decision) -> Order | None:
    verb = parts.request.verb
    if decision.action is Action.REFUSE:
        return None
    if verb.places_hold:
        return HOLD
    return RELEASE if verb.removes_hold and look.may_be_held else None
