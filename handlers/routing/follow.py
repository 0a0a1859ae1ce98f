"""Whether the routing has followed an act, and how many other endpoints still announce the VIP."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import RUN_SECONDS, Deadline
from ..transport.connections import Connections
from ..transport.shell import COMMAND_SECONDS, Shell
from .announced import Others
from .count import Counter
from .elsewhere import POLL_SECONDS, Elsewhere, View

WITHDRAWN_SECONDS = 2.0
RESTORED_SECONDS = 5.0
RECOUNT_SECONDS, RECOUNT_STEP, RECOUNT_LONGEST = 1.5, 0.5, 10.0
# A router drops an update that comes within a second of the one before. It gets it again after 5 to
# 10 s, since FRR looks every 5 s for what it sent at least 5 s ago. This is the time that another
# endpoint has to see a withdrawal.
ELSEWHERE_SECONDS = 12.0
TAKE_BACK_SECONDS = 3.0


class Followed(NamedTuple):
    """Whether the endpoint's own announcement followed an act; None where that is unknown."""

    followed: bool | None
    trouble: str = ""


class Recount(NamedTuple):
    """What a second count after a withdrawal has shown.

    Attributes:
        others: how many other endpoints announce; None where the number is unknown.
        few: says which floor is not kept any more; empty where each is, or that is unknown.
        seen_elsewhere: whether another endpoint has seen the withdrawal; None where none was asked
            for as long as an announcement may take to go.
        trouble: what could not be found out, and why.
    """

    others: int | None
    few: str = ""
    seen_elsewhere: bool | None = None
    trouble: str = ""


class Follower:
    """Asks the endpoint of an act, and another endpoint, whether the routing has followed."""

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        shell: Shell,
        counter: Counter,
        connections: Connections,
        deadline: Deadline,
    ) -> None:
        """Follow the acts of one run.

        Args:
            vip: the VIP that is withdrawn or restored.
            endpoint: the endpoint of the act.
            shell: runs commands on that endpoint.
            counter: the counter of the run.
            connections: lead to the other endpoints.
            deadline: the deadline of the run.
        """
        self._vip = vip
        self._endpoint = endpoint
        self._shell = shell
        self._counter = counter
        self._elsewhere = Elsewhere(vip, endpoint, counter, connections, deadline)
        self._deadline = deadline
        self._clock = deadline.clock

    def wait_for_own(self, *, announced: bool) -> Followed:
        """Wait until the endpoint's own announcement has followed an act."""
        seconds = RESTORED_SECONDS if announced else WITHDRAWN_SECONDS
        until = self._deadline.within(seconds)
        try:
            while not (followed := self._announces() is announced) and not until.passed:
                self._clock.sleep(POLL_SECONDS)
        except HandlerError as error:
            return Followed(None, f"not verified in the routing: {error}")
        return Followed(followed)

    def recount(
        self, withdrawn_at: float, unseen: Collection[str] = (), *, gone_here: bool | None
    ) -> Recount:
        """Count again, some time after a withdrawal.

        Several monitoring hosts may have withdrawn an endpoint each at the same moment. Only one
        should restore: the first that finds too few announcing. So each waits for a time of its
        own, which depends on its endpoint's place in the fleet file.

        Args:
            withdrawn_at: when the address was taken away, by the monotonic clock.
            unseen: the endpoints that could not be asked before the withdrawal either, where it
                relied on some of them; see by_site. That they are missing makes nothing uncertain
                then: what has allowed the withdrawal would refuse it now.
            gone_here: whether the endpoint's own announcement has gone, as `wait_for_own` says.
        """
        place = self._vip.endpoints.index(self._endpoint)
        seconds = min(RECOUNT_LONGEST, RECOUNT_SECONDS + RECOUNT_STEP * place)
        left = withdrawn_at + seconds - self._clock.monotonic()
        self._clock.sleep(max(0.0, min(left, self._deadline.left(RECOUNT_LONGEST))))
        try:
            others = self._counter.others(self._shell)
        except HandlerError as error:
            return Recount(None, trouble=f"not counted again: {error}")
        counted = others.counted(self._vip)
        is_as_unseen = bool(counted.gaps) and {*counted.gaps} <= {*unseen}
        # Where too few announce already, the withdrawal is taken back whatever another endpoint
        # says.
        if counted.is_few and (counted.is_surely_few or is_as_unseen):
            return Recount(others.number, counted.describe())
        if others.asked:
            return self._compare_elsewhere(others, withdrawn_at, gone_here=gone_here)
        if counted.is_few:
            return Recount(None, trouble=f"not counted again{counted.unasked}")
        return Recount(others.number)

    def _compare_elsewhere(
        self, here: Others, withdrawn_at: float, *, gone_here: bool | None
    ) -> Recount:
        """Ask another endpoint whether it has seen the withdrawal, and how many it counts.

        Args:
            here: the count at the run's endpoint, by which not surely too few are left.
            withdrawn_at: when the address was taken away.
            gone_here: see `recount`.
        """
        if not self._elsewhere.has_others:
            return self._as_here(here)
        view = self._elsewhere.ask(
            here.asked, lambda: self._patience(withdrawn_at) if gone_here else 0.0
        )
        if view is None:
            return self._as_here(here, "no other endpoint has said whether it has seen it")
        known = self._as_here(here)
        if view.is_few:
            # A second look, which `gone_here` tells by being None, must not take long.
            second = None
            if known.others is not None and gone_here is not None:
                second = self._find_contradiction(view, here.asked, withdrawn_at)
            if second is None:
                known = self._as_there(here, view)
            else:
                known = known._replace(trouble=self._contradict(view, second))
                view = second
        if here.asked not in view.seen.by:
            return known._replace(seen_elsewhere=True)
        if self._had_time(withdrawn_at):
            return known._replace(seen_elsewhere=False)
        trouble = f"this run could not wait until {view.endpoint.name} has seen it"
        return known._replace(trouble=known.trouble or trouble)

    def _as_here(self, here: Others, trouble: str = "") -> Recount:
        """Give what the own count says, be it that it has a gap."""
        counted = here.counted(self._vip)
        if counted.is_few:
            return Recount(None, trouble=f"not counted again{counted.unasked}")
        return Recount(here.number, trouble=trouble)

    def _as_there(self, here: Others, view: View) -> Recount:
        """Give what the view of another endpoint says, in which too few are left."""
        others = min(here.number, view.number)
        few = here.counted(self._vip)._replace(others=others).describe()
        return Recount(others, few, trouble=f"{view.endpoint.name} counts so few")

    def _find_contradiction(self, first: View, own: str, withdrawn_at: float) -> View | None:
        """Find out whether only one other endpoint sees too few.

        An endpoint may be mistaken, or lie, and it may be the first to learn of a change. So a
        second one contradicts it only after the time that a change may take to get there, and only
        if the withdrawn endpoint still counts enough itself.

        Returns:
            What the second one sees; None where it does not contradict, or there is none, or it
            cannot be asked in time.
        """
        if not self._can_ask:
            return None
        second = self._elsewhere.ask(own, lambda: self._patience(withdrawn_at), after=first)
        if second is None or second.number < self._vip.floor:
            return None
        if not self._had_time(withdrawn_at) or not self._can_ask:
            return None
        try:
            again = self._counter.others(self._shell)
        except HandlerError:
            return None
        return None if again.counted(self._vip).is_few else second

    def _contradict(self, first: View, second: View) -> str:
        counts = f"{first.endpoint.name} counts {first.number} of {len(self._vip.endpoints)}"
        return f"{counts}, and {self._endpoint.name} and {second.endpoint.name} contradict it"

    @property
    def _can_ask(self) -> bool:
        """Whether there is time for one more question, and for the take-back after it."""
        return self._deadline.left(RUN_SECONDS) >= TAKE_BACK_SECONDS + COMMAND_SECONDS

    def _had_time(self, withdrawn_at: float) -> bool:
        """Whether the other endpoints have had the time to see a change."""
        return self._clock.monotonic() - withdrawn_at >= ELSEWHERE_SECONDS

    def _patience(self, withdrawn_at: float) -> float:
        """Give the seconds in which another endpoint may still learn of the withdrawal."""
        waited = self._clock.monotonic() - withdrawn_at
        left = self._deadline.left(RUN_SECONDS) - TAKE_BACK_SECONDS - COMMAND_SECONDS
        return max(0.0, min(ELSEWHERE_SECONDS - waited, left))

    def _announces(self) -> bool:
        return self._counter.see(self._shell).announced
