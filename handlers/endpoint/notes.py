"""Write the notes onto an endpoint: the latch and the hold."""

from __future__ import annotations

from anycast_checks.line import clean

from ..errors import HandlerError
from ..transport.shell import Reply
from .latch import UNREADABLE_HOLD, Hold, Latch, hold_path, latch_path
from .look import Look
from .site import Site


class Notes:
    """The notes on one endpoint; methods return what went wrong, empty where nothing did.

    A note that cannot be written never stops a withdrawal: a full disk must not keep a dead
    endpoint in the routing.
    """

    def __init__(self, site: Site, by: str) -> None:
        """Write notes through a site, signed by the user and host that ``by`` names."""
        self._site = site
        self._by = by
        self._latch_path = latch_path(site.vip.address)
        self._hold_path = hold_path(site.vip.address)
        self._has_placed = False

    def put_latch_on(self, before: Look, reason: str, clock: Reply | None = None) -> str:
        """Note a withdrawal; ``clock`` is the reply about the endpoint's time, if asked ahead."""
        try:
            latch = before.latch.put_on(
                uptime=before.uptime,
                clock=self._site.clock(clock),
                boot_id=before.boot_id,
                by=self._by,
                reason=clean(reason, 120),
            )
        except HandlerError as error:
            return f"no latch was written: {error}"
        return self._write(latch)

    def keep_latch_on(self, reason: str) -> str:
        """Note a withdrawal again where another monitoring host has written over its latch.

        That host may have looked before the withdrawal, and have taken an old latch off after it.
        """
        try:
            look = self._site.look()
        except HandlerError as error:
            return f"the latch was not looked at again: {error}"
        if look.present or look.latch.is_on(look.boot_id):
            return ""
        return self.put_latch_on(look, reason)

    def take_latch_back(self, before: Look) -> None:
        """Leave the latch as it was before a withdrawal that has not worked."""
        if before.latch == Latch():
            self._site.remove_note(self._latch_path)
        else:
            self._write(before.latch)

    def take_latch_off(self, look: Look) -> str:
        """Note that the VIP is announced again, whoever has restored it."""
        return self._write_or_remove(look.latch.take_off())

    def note_restore_to_come(self, look: Look, clock: Reply | None = None) -> str:
        """Count an automatic restore before it is made; the latch stays on."""
        return self._write(self._restored(look, clock, still_on=True))

    def note_restore(self, look: Look) -> str:
        """Note a restore that was made, and take the latch off."""
        return self._write_or_remove(self._restored(look, None, still_on=False))

    def place_hold(self, reason: str, *, present: bool, seconds: int | None = None) -> str:
        """Order the automation to leave the endpoint as it is."""
        try:
            clock = self._site.clock()
        except HandlerError as error:
            return f"no hold was placed: {error}"
        until = clock + seconds if seconds else None
        hold = Hold(clock, until, self._by, clean(reason, 120), present)
        trouble = self._site.write_note(self._hold_path, hold.render())
        # A write that was not heard of may have placed the hold.
        self._has_placed = not trouble or self._site.steps[-1].status is None
        return trouble

    def take_hold_back(self, before: Look) -> str:
        """Leave the hold as it was before a withdrawal by hand that has not worked.

        An earlier hold that could not be read is lost. In its place is written a hold that says
        so, which protects the endpoint until somebody releases it.
        """
        if not self._has_placed:
            return ""
        hold = UNREADABLE_HOLD if before.hold_unknown else before.hold
        if hold is None:
            return self.remove_hold()
        return self._site.write_note(self._hold_path, hold.render())

    def remove_hold(self) -> str:
        """Release the endpoint from its hold."""
        return self._site.remove_note(self._hold_path)

    def _restored(self, look: Look, clock: Reply | None, *, still_on: bool) -> Latch:
        return look.latch.restored(
            uptime=look.uptime,
            clock=self._site.clock(clock),
            boot_id=look.boot_id,
            automatic=still_on,
            still_on=still_on,
        )

    def _write(self, latch: Latch) -> str:
        return self._site.write_note(self._latch_path, latch.render())

    def _write_or_remove(self, latch: Latch) -> str:
        # A latch that stays on would make the automation undo what a person does next, so the file
        # is removed where it cannot be written, which works on a full disk too.
        trouble = self._write(latch)
        return trouble and (self._site.remove_note(self._latch_path) or trouble)
