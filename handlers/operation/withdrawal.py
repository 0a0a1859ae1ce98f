"""A withdrawal: the note, the act, the verification, and a restore where too few still announce."""

from __future__ import annotations

from ..activators._activator import Activator
from ..decision.facts import State
from ..endpoint.look import Look
from .parts import Parts


def withdraw(parts: Parts, before: Look) -> None:
    """Take the VIP away, and verify it."""
    outcome, site = parts.outcome, parts.site
    activator = site.activator(parts.ahead.program)
    parts.keep_apart(before)
    # The note comes before the act: a run that is ended between them leaves a note, which the next
    # run puts right.
    trouble = parts.hold_by_hand() if parts.request.verb.places_hold else ""
    outcome.note(trouble or parts.notes.put_latch_on(before, parts.why, parts.ahead.clock))
    withdrawn_at = parts.deadline.clock.monotonic()
    with outcome.timed(f"take the address off {parts.interface}"):
        after, did = site.withdraw(activator, before)
    if parts.request.dry_run:
        outcome.would_run()
        return
    lost = before.neighbors - after.neighbors
    outcome.acted(after, address=not after.present and not after.elsewhere)
    outcome.verify("other_addresses", not lost)
    if lost:
        outcome.note(f"{parts.interface} also lost {', '.join(sorted(lost))}")
    if after.present:
        _fail(parts, before)
        return
    if not parts.request.verb.by_hand:
        outcome.note(parts.held.note_withdrawal(parts.request.endpoint.name))
    _follow(parts, activator, before, after, withdrawn_at, f"withdrawn by {did}")


def _fail(parts: Parts, before: Look) -> None:
    # A command whose end is unknown may still take the address away, and then the latch is needed.
    if all(step.status is not None for step in parts.site.steps):
        parts.notes.take_latch_back(before)
        if parts.request.verb.places_hold:
            parts.notes.take_hold_back(before)
    parts.outcome.acted_in_vain(f"still announced: {parts.last_words()}")


def _follow(
    parts: Parts, activator: Activator, before: Look, after: Look, withdrawn_at: float, done: str
) -> None:
    """Verify the withdrawal in the routing, and take it back where too few others announce."""
    outcome = parts.outcome
    gone = parts.see_in_routing(announced=False)
    with outcome.timed("count again"):
        recount = parts.follower.recount(withdrawn_at, gone_here=gone)
    outcome.note(recount.trouble)
    outcome.verify("own_announcement", gone)
    outcome.verify("count_elsewhere", recount.seen_elsewhere)
    others = recount.others
    if others is not None and others < parts.vip.floor and not parts.request.force:
        _take_back(parts, activator, before, after, others)
        return
    if not parts.request.verb.by_hand:
        outcome.note(parts.notes.keep_latch_on(parts.why))
    if after.elsewhere:
        places = ", ".join(after.elsewhere)
        outcome.acted_in_vain(f"left {parts.interface}, but is still on {places}")
    elif before.neighbors - after.neighbors:
        outcome.acted_in_vain("withdrawn, and more than that")
    elif gone is False:
        outcome.acted_in_vain(f"withdrawn from {parts.interface}, but still in the routing")
    elif recount.seen_elsewhere is False:
        outcome.acted_in_vain("withdrawn, but another endpoint still has it in the routing")
    else:
        outcome.done(done, State.WARNING)


def _take_back(
    parts: Parts, activator: Activator, before: Look, withdrawn: Look, others: int
) -> None:
    vip, outcome = parts.vip, parts.outcome
    few = f"{others} of {len(vip.endpoints)} announce it and the floor is {vip.floor}"
    after, did = parts.site.restore(activator, withdrawn)
    outcome.acted(after, address=after.present)
    if not after.present:
        words = parts.last_words()
        outcome.acted_in_vain(f"withdrawn, and could not be restored: {few}: {words}")
        return
    if parts.request.verb.places_hold:
        outcome.note(parts.notes.take_hold_back(before))
    outcome.note(parts.notes.note_restore(after))
    outcome.refuse(f"withdrawn and restored by {did}: {few}")
