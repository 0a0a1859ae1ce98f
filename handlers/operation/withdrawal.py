"""A withdrawal: the note, the act, the verification, and a restore where too few still announce."""

from __future__ import annotations

from typing import NamedTuple

from ..activators._activator import Activator
from ..decision.facts import State
from ..endpoint import notes
from ..endpoint.change import HOLD, Change, Note
from ..endpoint.look import Look
from ..errors import ChangedMeanwhileError, GateRefusedError, HandlerError, TooLateError
from . import draining
from .parts import STALE_SECONDS, Drain, Parts


class _Withdrawn(NamedTuple):
    """A withdrawal that has worked: how, the notes of it, the looks, and when it was begun."""

    activator: Activator
    written: tuple[Note, ...]
    before: Look
    after: Look
    at: float


def withdraw(parts: Parts, look: Look) -> None:
    """Take the VIP away, and verify it."""
    outcome, site = parts.outcome, parts.site
    activator = site.activator(parts.ahead.choice)
    written = _note(parts, look)
    drain = draining.seconds_of(parts)
    came = draining.begin(parts, drain) if drain else None
    change = site.withdrawal(activator, look, *written, drain=draining.lease_of(drain))
    name = parts.request.endpoint.name
    if not parts.request.dry_run:
        outcome.note(parts.lock.note_act(name, change.seconds))
    withdrawn_at = parts.deadline.clock.monotonic()
    if drain and not parts.request.dry_run:
        parts.drain = Drain(withdrawn_at, drain, came)
    with outcome.timed(f"take the address off {parts.interface}"):
        before, after = _take_off(parts, change)
    if parts.request.dry_run:
        outcome.would_run()
        return
    if after.in_place or parts.request.verb.by_hand:
        parts.lock.note_end(name)
    else:
        outcome.note(parts.lock.note_withdrawal(name))
    lost = before.neighbors - after.neighbors
    outcome.acted(after, address=not after.present)
    outcome.verify("other_addresses", not lost)
    if lost:
        outcome.note(f"{parts.interface} also lost {', '.join(sorted(lost))}")
    if after.in_place or not parts.is_draining:
        parts.drain = None
    if after.in_place:
        _fail(parts, look, written)
        return
    try:
        _follow(parts, _Withdrawn(activator, written, before, after, withdrawn_at))
    except HandlerError as error:
        if parts.drain is None:
            raise
        # The endpoint must not go on answering for ever because of it.
        outcome.failed(error)


def _take_off(parts: Parts, change: Change) -> tuple[Look, Look]:
    """Make the change, and without a drain where the endpoint has not been told of that."""
    try:
        return parts.make(change)
    except GateRefusedError as error:
        if not change.drain:
            raise
        parts.outcome.note(f"does not go on answering: {error}")
        return parts.make(change._replace(drain=0))


def _note(parts: Parts, look: Look) -> tuple[Note, ...]:
    """Make the note of a withdrawal; without a clock there is none, which stops no withdrawal."""
    try:
        if parts.request.verb.places_hold:
            return (parts.hold_by_hand(),)
        return (notes.withdrawn(look, parts.clock_there(), parts.by, parts.why),)
    except HandlerError as error:
        parts.outcome.note(f"no note was written: {error}")
        return ()


def _fail(parts: Parts, before: Look, written: tuple[Note, ...]) -> None:
    """Leave the notes as they were."""
    words = parts.last_words()
    try:
        now = parts.site.look()
        back = notes.as_before(before, now, written)
        if back and now.in_place:
            parts.outcome.note(parts.site.note(now, *back))
    except HandlerError as error:
        parts.outcome.note(f"its notes stay as they are: {error}")
    parts.outcome.acted_in_vain(f"still announced: {words}")


def _follow(parts: Parts, done: _Withdrawn) -> None:
    """Verify the withdrawal in the routing, and take it back where too few others announce."""
    outcome = parts.outcome
    gone = parts.see_in_routing(announced=False)
    with outcome.timed("count again"):
        recount = parts.follower.recount(done.at, parts.unseen, gone_here=gone)
    outcome.note(recount.trouble)
    outcome.verify("own_announcement", gone)
    outcome.verify("count_elsewhere", recount.seen_elsewhere)
    if recount.few:
        if not parts.keeps_floor:
            outcome.note(f"{recount.others} of {len(parts.vip.endpoints)} announce it now")
        elif look := _look_while_few(parts, done):
            _take_back(parts, done, look, recount.few)
            return
    if done.after.elsewhere:
        places = ", ".join(done.after.elsewhere)
        outcome.acted_in_vain(f"left {parts.interface}, but is still on {places}")
    elif done.before.neighbors - done.after.neighbors:
        outcome.acted_in_vain("withdrawn, and more than that")
    elif gone is False:
        outcome.acted_in_vain(f"withdrawn from {parts.interface}, but still in the routing")
    elif recount.seen_elsewhere is False:
        outcome.acted_in_vain("withdrawn, but another endpoint still has it in the routing")
    else:
        outcome.done(f"withdrawn by {parts.did}", State.WARNING)


def _look_while_few(parts: Parts, done: _Withdrawn) -> Look | None:
    """Look at the endpoint, and count after that; None where too few announce no longer.

    The run may have been stopped since it has counted before, even together with its clock. A look
    before a count says to the helper how old the count is.
    """
    while True:
        look = parts.site.look()
        recount = parts.follower.recount(done.at, parts.unseen, gone_here=None)
        parts.outcome.note(recount.trouble)
        if not recount.few:
            return None
        if parts.deadline.clock.monotonic() - look.heard <= STALE_SECONDS:
            return look
        if parts.deadline.passed:
            raise TooLateError("withdrawn, and not restored: this run was stopped for too long")


def _take_back(parts: Parts, done: _Withdrawn, look: Look, few: str) -> None:
    outcome, site = parts.outcome, parts.site
    back = notes.as_before(done.before, look, done.written, (HOLD,))
    if look.hold and look.hold_mark != done.before.hold_mark and not back:
        # A person has seen the endpoint withdrawn, and has ordered to leave it so.
        outcome.acted_in_vain(f"withdrawn, and not restored: {few}: held by {look.hold.by}")
        return
    settled = [_taken_back(parts, look), *back]
    try:
        _, after = parts.make(site.restoration(done.activator, look, (), settled))
    except ChangedMeanwhileError as error:
        outcome.acted_in_vain(f"withdrawn, and not restored: {few}: {error}")
        return
    outcome.acted(after, address=after.in_place)
    if not after.in_place:
        words = parts.last_words()
        outcome.acted_in_vain(f"withdrawn, and could not be restored: {few}: {words}")
        return
    parts.drain = None
    outcome.refuse(f"withdrawn and restored by {parts.did}: {few}")


def _taken_back(parts: Parts, look: Look) -> Note:
    """Make the note of a take-back, which happens without a clock as well."""
    try:
        return notes.taken_back(look, parts.site.clock())
    except HandlerError as error:
        parts.outcome.note(str(error))
        return notes.latch_off(look)
