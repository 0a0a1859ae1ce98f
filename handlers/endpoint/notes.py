"""What the latch and the hold of an endpoint become: the notes that a change writes."""

from __future__ import annotations

from collections.abc import Sequence

from anycast_checks.line import clean

from .change import HOLD, LATCH, How, Note
from .latch import UNREADABLE_HOLD, Hold, Latch
from .look import Look
from .noted import mark_of

LONGEST_REASON = 120
NO_HOLD = Note(HOLD, How.REMOVE)


def withdrawn(look: Look, clock: int, by: str, reason: str) -> Note:
    """Note a withdrawal; ``clock`` is the endpoint's time, ``by`` names the user and the host."""
    latch = look.latch.put_on(
        uptime=look.uptime,
        clock=clock,
        boot_id=look.boot_id,
        by=by,
        reason=clean(reason, LONGEST_REASON),
    )
    return Note(LATCH, How.WRITE, latch.render())


def restore_to_come(look: Look, clock: int) -> Note:
    """Count an automatic restore before it is made; the latch stays on.

    A restore that is not recorded would not count against the number of restores a day, so it is
    not made.
    """
    latch = look.latch.restored(clock=clock, boot_id=look.boot_id, automatic=True, still_on=True)
    return Note(LATCH, How.RECORD, latch.render())


def restored(look: Look, clock: int, *, automatic: bool) -> Note:
    """Note a restore, and take the latch off.

    A latch that stays on would make the automation undo what a person does next.
    """
    latch = look.latch.restored(clock=clock, boot_id=look.boot_id, automatic=automatic)
    return Note(LATCH, How.SETTLE, latch.render())


def taken_back(look: Look, clock: int) -> Note:
    """Note that a withdrawal was taken back, and take the latch off."""
    latch = look.latch.taken_back(clock=clock, boot_id=look.boot_id)
    return Note(LATCH, How.SETTLE, latch.render())


def latch_off(look: Look) -> Note:
    """Note that the VIP is present again, whoever has restored it."""
    return Note(LATCH, How.SETTLE, look.latch.take_off().render())


def as_before(
    before: Look, now: Look, written: Sequence[Note], names: Sequence[str] = (LATCH, HOLD)
) -> list[Note]:
    """Leave notes as a look has found them, where they still are what was written after it.

    What somebody else has written meanwhile stays.
    """
    ours = {note.name for note in written if mark_of(note.text) == _mark(now, note.name)}
    back = []
    if LATCH in ours and LATCH in names:
        back.append(_latch_as_before(before))
    if HOLD in ours and HOLD in names:
        back.append(_hold_as_before(before))
    return back


def _mark(look: Look, name: str) -> str:
    return look.latch_mark if name == LATCH else look.hold_mark


def _latch_as_before(look: Look) -> Note:
    if look.latch == Latch():
        return Note(LATCH, How.REMOVE)
    return Note(LATCH, How.WRITE, look.latch.render())


def held(look: Look, clock: int, seconds: int | None, by: str, reason: str) -> Note:
    """Order the automation to leave the endpoint as it is, for some seconds or for ever."""
    boot = (look.boot_id, look.uptime) if seconds else ("", None)
    until = clock + seconds if seconds else None
    return _hold(Hold(clock, until, by, clean(reason, LONGEST_REASON), look.present, *boot))


def held_withdrawn(clock: int, by: str, reason: str) -> Note:
    """Order the automation to leave an endpoint out that a person has withdrawn."""
    return _hold(Hold(clock, None, by, clean(reason, LONGEST_REASON), present=False))


def _hold_as_before(look: Look) -> Note:
    """Give the hold that a look has found.

    A hold that could not be read is lost. In its place is written a hold that says so, which
    protects the endpoint until somebody releases it.
    """
    hold = UNREADABLE_HOLD if look.hold_unknown else look.hold
    return NO_HOLD if hold is None else _hold(hold)


def _hold(hold: Hold) -> Note:
    return Note(HOLD, How.WRITE, hold.render())
