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
from .elsewhere import POLL_SECONDS, Elsewhere

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
        if counted.is_few and not counted.is_surely_few and not is_as_unseen:
            return Recount(None, trouble=f"not counted again{counted.unasked}")
        # Where too few announce already, the withdrawal is taken back whatever another endpoint
        # says.
        if others.asked and not counted.is_few:
            return self._compare_elsewhere(others, withdrawn_at, gone_here=gone_here)
        return Recount(others.number, counted.describe() if counted.is_few else "")

    def _compare_elsewhere(
        self, here: Others, withdrawn_at: float, *, gone_here: bool | None
    ) -> Recount:
        """Ask another endpoint whether it has seen the withdrawal, and how many it counts."""
        if not self._elsewhere.has_others:
            return Recount(here.number)
        told = self._elsewhere.ask(
            here.asked, lambda: self._patience(withdrawn_at) if gone_here else 0.0
        )
        if told is None:
            trouble = "no other endpoint has said whether it has seen it"
            return Recount(here.number, trouble=trouble)
        other, seen = told
        there = self._elsewhere.count(other, seen, here.asked)
        others = min(here.number, there.number + there.unsure)
        counted = here.counted(self._vip)._replace(others=others)
        few = counted.describe() if counted.is_few else ""
        if here.asked not in seen.by:
            return Recount(others, few, seen_elsewhere=True)
        if self._clock.monotonic() - withdrawn_at >= ELSEWHERE_SECONDS:
            return Recount(others, few, seen_elsewhere=False)
        trouble = f"this run could not wait until {other.name} has seen it"
        return Recount(others, few, trouble=trouble)

    def _patience(self, withdrawn_at: float) -> float:
        """Give the seconds in which another endpoint may still learn of the withdrawal."""
        waited = self._clock.monotonic() - withdrawn_at
        left = self._deadline.left(RUN_SECONDS) - TAKE_BACK_SECONDS - COMMAND_SECONDS
        return max(0.0, min(ELSEWHERE_SECONDS - waited, left))

    def _announces(self) -> bool:
        return self._counter.see(self._shell).announced
