"""The parts of one run on an endpoint, which looking, withdrawing and restoring share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..decision.facts import Policy
from ..endpoint import notes
from ..endpoint.change import HOLD, Change, How, Note, failed_notes
from ..endpoint.drain import Came
from ..endpoint.look import Look
from ..endpoint.mask import failed_masks
from ..endpoint.site import Ahead, Site, Step
from ..errors import (
    ChangedMeanwhileError,
    CommandFailedError,
    OutcomeUnknownError,
    TooLateError,
)
from ..fleet.values import Vip
from ..routing.count import Counter
from ..routing.follow import Follower
from ..transport.clock import RUN_SECONDS, Deadline
from ..transport.shell import with_distance
from .lock import Lock
from .outcome import Outcome
from .pulse import Pulse
from .request import Request

# Seconds that are kept for the look after a change that was not heard of.
LOOK_SECONDS = 1.0
# A person who overrides one of these guards accepts fewer announcing endpoints than the floor.
BELOW_THE_FLOOR = frozenset({"cannot-count", "floor"})
# A run that was stopped for longer, after the last answer that it has decided on, looks again.
STALE_SECONDS = 3.0


class Drain(NamedTuple):
    """An endpoint that goes on answering: ``since`` when, by the monotonic clock.

    ``seconds`` is for how long at most, ``came`` what had come to it before; None where that is
    unknown. ``is_taken_over`` is true where another run has begun it.
    """

    since: float
    seconds: float
    came: Came | None
    is_taken_over: bool = False


@dataclass
class Parts:
    """What one run works with, before and while it holds the lock of its VIP.

    Attributes:
        outcome: is filled in by the run.
        policy: what the fleet file, the stop file and the engine say.
        site: the VIP on its endpoint.
        lock: the lock of the VIP, which is held while the run acts.
        counter: counts who announces the VIP.
        follower: finds out whether the routing has followed an act.
        by: the user and host that sign the notes.
        deadline: the deadline of the run.
        pulse: notices that this process was stopped.
        ahead: replies to the first questions of an act, which were asked while the check ran.
        is_slow: the check that has confirmed the failure was answered, and too slowly.
        decided: when the last decision was made, by the monotonic clock.
        drain: the endpoint goes on answering after its withdrawal; None where it does not.
        unseen: the endpoints that could not be asked, where the last count relied on them.
    """

    outcome: Outcome
    policy: Policy
    site: Site
    lock: Lock
    counter: Counter
    follower: Follower
    by: str
    deadline: Deadline
    pulse: Pulse
    ahead: Ahead = field(default_factory=Ahead)
    is_slow: bool = False
    decided: float = 0.0
    drain: Drain | None = None
    unseen: tuple[str, ...] = ()

    @property
    def request(self) -> Request:
        """The request that the run is for."""
        return self.outcome.request

    @property
    def vip(self) -> Vip:
        """The VIP that the request is about."""
        return self.outcome.request.vip

    @property
    def interface(self) -> str:
        """The name of the interface that the VIP lives on."""
        return self.vip.placement.interface

    @property
    def keeps_floor(self) -> bool:
        """Whether the floor binds, which it does unless a person has overridden it by name."""
        decision = self.outcome.decision
        return not (decision and BELOW_THE_FLOOR.intersection(decision.overrides))

    @property
    def why(self) -> str:
        """The reason of an act, as the notes say it."""
        return self.outcome.check_said or self.request.reason

    def make(self, change: Change) -> tuple[Look, Look]:
        """Make a change of the interface; the run does not go on before the change is over.

        Returns:
            The endpoint directly before the change, and after it; with the same addresses where
            nothing was heard of the change.

        Raises:
            TooLateError: the run has too little time left; nothing was done.
            ChangedMeanwhileError, ActedTooLateError, GateRefusedError: this run has done nothing.
        """
        left = self.deadline.left(RUN_SECONDS)
        patience = with_distance(change.late, self.site.shell.distance)
        bounded = change._replace(late=patience).within(left - LOOK_SECONDS)
        if bounded is None:
            raise TooLateError(f"refused: {left:.1f} s are left of this run, too few to act")
        # The time in which it may be begun is counted from the decision, so that it has no effect
        # where this run is stopped before it has sent it.
        bounded = bounded._replace(decided=max(self.decided, change.look.heard))
        look = change.look
        try:
            report = self.site.change(bounded)
        except (OutcomeUnknownError, CommandFailedError):
            # Other runs may have added or removed other addresses since the first look.
            after = self.site.look()
            if after.present is not look.present and not _has_order(change, after):
                # Another run has changed the address, and the order of a person is still open.
                raise ChangedMeanwhileError("present") from None
            return replace(look, addresses=after.addresses), after
        self.outcome.note(report.trouble)
        self.outcome.note(failed_notes(self.vip, report))
        self.outcome.note(failed_masks(report.done))
        return replace(look, addresses=report.before), replace(look, addresses=report.after)

    def others_stayed(self, before: Look, after: Look) -> bool:
        """Record which other addresses of the interface have come or gone; whether none has."""
        gone, come = before.neighbors - after.neighbors, after.neighbors - before.neighbors
        self.outcome.verify("other_addresses", not gone and not come)
        if gone:
            self.outcome.note(f"{self.interface} also lost {', '.join(sorted(gone))}")
        if come:
            self.outcome.note(f"{self.interface} also got {', '.join(sorted(come))}")
        return not gone and not come

    def clock_there(self) -> int:
        """Give the endpoint's time, which may have been asked ahead; raises as Site.clock does."""
        return self.site.clock(self.ahead.clock)

    def hold_by_hand(self) -> Note:
        """Make a person's hold for an endpoint that is withdrawn; raises as Site.clock does."""
        reason = self.request.reason or "by hand"
        return notes.held_withdrawn(self.clock_there(), self.by, reason)

    @property
    def tried(self) -> list[Step]:
        """The commands that were run, without the notes."""
        return [step for step in self.site.steps if step.argv[0].startswith("/")]

    @property
    def is_draining(self) -> bool:
        """Whether the route was added by which the endpoint goes on answering, or may have been."""
        last = self.site.steps[-1] if self.site.steps else None
        if last and last.status is None:
            return True
        return any(step.argv[0] == "drain" and step.status == 0 for step in self.site.steps)

    @property
    def did(self) -> str:
        """The last command that was run, in short."""
        program, *words = self.tried[-1].argv
        return " ".join((program.rsplit("/", 1)[-1], *words))

    def see_in_routing(self, *, announced: bool) -> bool | None:
        """Wait until the endpoint's own announcement has followed; None where it is unknown."""
        what = "see it in the routing again" if announced else "see it leave the routing"
        with self.outcome.timed(what):
            own = self.follower.wait_for_own(announced=announced)
        self.outcome.note(own.trouble)
        return own.followed

    def last_words(self) -> str:
        """Quote the last command that failed, and what it said."""
        for step in reversed(self.tried):
            if step.status != 0:
                return f"{' '.join(step.argv)}: {step.said or f'exit status {step.status}'}"
        return "every command said that it worked"


def _has_order(change: Change, after: Look) -> bool:
    """Whether the hold is as a change was to leave it; what somebody else has ordered stands."""
    orders = [note for note in (*change.before, *change.after) if note.name == HOLD]
    if not orders:
        return True
    if orders[-1].how is How.REMOVE:
        return after.hold is None or after.hold_mark != change.look.hold_mark
    return after.may_be_held
