"""A restore: the record of it, the act, the notes and the verification in the routing."""

from __future__ import annotations

from ..decision.automation import RECOVERED, TOO_FEW
from ..decision.facts import Decision
from ..endpoint import notes
from ..endpoint.change import Note
from ..endpoint.look import Look
from ..errors import HandlerError
from .parts import Parts


def restore(parts: Parts, look: Look, decision: Decision) -> None:
    """Bring the VIP back, and verify it."""
    outcome, site = parts.outcome, parts.site
    activator = site.activator(parts.ahead.choice)
    record, settled = _notes(parts, look, decision.rule)
    change = site.restoration(activator, look, record, settled)
    with outcome.timed(f"bring the address back to {parts.interface}"):
        before, after = parts.make(change)
    if parts.request.dry_run:
        outcome.would_run()
        return
    outcome.acted(after, address=after.in_place)
    if not after.in_place:
        if record and not parts.tried:
            outcome.refuse("withdrawn: not restored without a record")
        else:
            outcome.acted_in_vain(f"could not be restored: {parts.last_words()}")
        return
    others_stayed = parts.others_stayed(before, after)
    announced = parts.see_in_routing(announced=True)
    outcome.verify("own_announcement", announced)
    if announced is False:
        outcome.acted_in_vain(f"on {parts.interface} again, but not announced in the routing")
    elif not others_stayed:
        outcome.acted_in_vain("restored, and more than that")
    else:
        outcome.done(f"restored by {parts.did}", decision.severity)


def _notes(parts: Parts, look: Look, rule: str) -> tuple[list[Note], list[Note]]:
    """Make the notes of a restore: those that are written before it, and those after it."""
    automatic = rule == RECOVERED
    released = [notes.NO_HOLD] if look.may_be_held else []
    try:
        clock = parts.clock_there()
    except HandlerError as error:
        if automatic:
            raise
        # A person's restore is not counted, and so needs no time.
        parts.outcome.note(str(error))
        return [], [notes.latch_off(look), *released]
    if rule == TOO_FEW:
        return [], [notes.taken_back(look, clock), *released]
    record = [notes.restore_to_come(look, clock)] if automatic else []
    return record, [notes.restored(look, clock, automatic=automatic), *released]
