"""A restore: the record of it, the act, the notes and the verification in the routing."""

from __future__ import annotations

from ..decision.automation import RECOVERED
from ..decision.facts import Decision
from ..endpoint.look import Look
from .parts import Parts


def restore(parts: Parts, before: Look, decision: Decision) -> None:
    """Bring the VIP back, and verify it."""
    outcome, site = parts.outcome, parts.site
    activator = site.activator(parts.ahead.program)
    parts.keep_apart(before)
    if decision.rule == RECOVERED and not parts.request.dry_run:
        # A restore that is not recorded would not count against the number of restores a day.
        trouble = parts.notes.note_restore_to_come(before, parts.ahead.clock)
        if trouble:
            outcome.refuse(f"withdrawn: not restored without a record: {trouble}")
            return
    with outcome.timed(f"bring the address back to {parts.interface}"):
        after, did = site.restore(activator, before)
    if parts.request.dry_run:
        outcome.would_run()
        return
    outcome.acted(after, address=after.present)
    if not after.present:
        outcome.acted_in_vain(f"could not be restored: {parts.last_words()}")
        return
    if before.may_be_held:
        outcome.note(parts.notes.remove_hold())
    outcome.note(parts.notes.note_restore(after))
    announced = parts.see_in_routing(announced=True)
    outcome.verify("own_announcement", announced)
    if announced is False:
        outcome.acted_in_vain(f"on {parts.interface} again, but not announced in the routing")
    else:
        outcome.done(f"restored by {did}", decision.severity)
