"""The parts of one run on an endpoint, which looking, withdrawing and restoring share."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..decision.facts import Policy
from ..endpoint.look import Look
from ..endpoint.notes import Notes
from ..endpoint.site import Ahead, Site
from ..fleet.values import Vip
from ..routing.count import Counter
from ..routing.follow import Follower
from ..transport.clock import Deadline
from .lock import HeldLock
from .outcome import Outcome
from .request import Request

# OSPF delays a change by 5 to 9 s when it follows the router's previous change too soon.
BETWEEN_CHANGES = 1.5


@dataclass
class Parts:
    """What one run works with while it holds the lock of its VIP.

    Attributes:
        outcome: is filled in by the run.
        policy: what the fleet file, the stop file and the engine say.
        site: the VIP on its endpoint.
        held: the lock of the VIP.
        counter: counts who announces the VIP.
        follower: finds out whether the routing has followed an act.
        notes: the latch and the hold on the endpoint.
        deadline: the deadline of the run.
        ahead: replies to the first questions of an act, which were asked while the check ran.
    """

    outcome: Outcome
    policy: Policy
    site: Site
    held: HeldLock
    counter: Counter
    follower: Follower
    notes: Notes
    deadline: Deadline
    ahead: Ahead = field(default_factory=Ahead)

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
    def why(self) -> str:
        """The reason of an act, as the notes say it."""
        return self.outcome.check_said or self.request.reason

    def keep_apart(self, look: Look) -> None:
        """Wait until the last change of the endpoint is long enough ago for the next change."""
        since = look.since_change
        if since is not None and not self.request.dry_run:
            self.deadline.clock.sleep(BETWEEN_CHANGES - since)

    def hold_by_hand(self) -> str:
        """Place a person's hold on an endpoint that is withdrawn; returns as `Notes` does."""
        return self.notes.place_hold(self.request.reason or "by hand", present=False)

    def see_in_routing(self, *, announced: bool) -> bool | None:
        """Wait until the endpoint's own announcement has followed; None where it is unknown."""
        what = "see it in the routing again" if announced else "see it leave the routing"
        with self.outcome.timed(what):
            own = self.follower.wait_for_own(announced=announced)
        self.outcome.note(own.trouble)
        return own.followed

    def last_words(self) -> str:
        """Quote the last command that failed, and what it said."""
        for step in reversed(self.site.steps):
            if step.status != 0:
                return f"{' '.join(step.argv)}: {step.said or f'exit status {step.status}'}"
        return "every command said that it worked"
