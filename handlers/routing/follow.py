"""Whether the routing has followed an act, and how many other endpoints still announce the VIP."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import RUN_SECONDS, Deadline
from ..transport.connections import Connections
from ..transport.shell import COMMAND_SECONDS, Shell
from .count import Announced, Counter, Others

WITHDRAWN_SECONDS = 2.0
RESTORED_SECONDS = 5.0
POLL_SECONDS = 0.1
RECOUNT_SECONDS, RECOUNT_STEP, RECOUNT_LONGEST = 1.5, 0.5, 10.0
# A router drops an update that comes within a second of the one before. It gets it again after 5 to
# 10 s, since FRR looks every 5 s for what it sent at least 5 s ago. This is the time that another
# endpoint has to see a withdrawal.
ELSEWHERE_SECONDS = 12.0
FIND_OTHER_SECONDS = 3.0
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
        self._connections = connections
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

    def recount(self, withdrawn_at: float, *, gone_here: bool | None) -> Recount:
        """Count again, some time after a withdrawal.

        Several monitoring hosts may have withdrawn an endpoint each at the same moment. Only one
        should restore: the first that finds too few announcing. So each waits for a time of its
        own, which depends on its endpoint's place in the fleet file.

        Args:
            withdrawn_at: when the address was taken away, by the monotonic clock.
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
        if counted.is_few and not counted.is_surely_few:
            return Recount(None, trouble=f"not counted again{counted.unasked}")
        # Where too few announce already, the withdrawal is taken back whatever another endpoint
        # says.
        if others.asked and not counted.is_few:
            return self._compare_elsewhere(others, withdrawn_at, gone_here=gone_here)
        return Recount(others.number, counted.describe() if counted.is_few else "")

    def _compare_elsewhere(
        self, here: Others, withdrawn_at: float, *, gone_here: bool | None
    ) -> Recount:
        """Ask another endpoint whether it has seen the withdrawal, and how many it counts.

        One of the same site is asked: another site may be another area, which has never seen it.
        """
        finding = self._deadline.within(FIND_OTHER_SECONDS)
        near = [one for one in self._vip.sites[self._endpoint.site] if one is not self._endpoint]
        if not near:
            return Recount(here.number)
        for other in near:
            if finding.passed:
                continue
            patience = self._patience(withdrawn_at) if gone_here else 0.0
            seen = self._ask_other(other, here.asked, finding, patience)
            # An endpoint with the same router-id is the same router, and cannot see it go.
            if seen is not None and seen.asked != here.asked:
                others = min(here.number, self._count_there(other, seen, here.asked))
                counted = here.counted(self._vip)._replace(others=others)
                few = counted.describe() if counted.is_few else ""
                if here.asked not in seen.by:
                    return Recount(others, few, seen_elsewhere=True)
                if self._clock.monotonic() - withdrawn_at >= ELSEWHERE_SECONDS:
                    return Recount(others, few, seen_elsewhere=False)
                trouble = f"this run could not wait until {other.name} has seen it"
                return Recount(others, few, trouble=trouble)
        trouble = "no other endpoint has said whether it has seen it"
        return Recount(here.number, trouble=trouble)

    def _count_there(self, other: Endpoint, seen: Announced, router_id: str) -> int:
        return self._counter.tally(seen, router_id, {other.name: seen.asked}).number

    def _patience(self, withdrawn_at: float) -> float:
        """Give the seconds in which another endpoint may still learn of the withdrawal."""
        waited = self._clock.monotonic() - withdrawn_at
        left = self._deadline.left(RUN_SECONDS) - TAKE_BACK_SECONDS - COMMAND_SECONDS
        return max(0.0, min(ELSEWHERE_SECONDS - waited, left))

    def _ask_other(
        self, other: Endpoint, router_id: str, finding: Deadline, patience: float
    ) -> Announced | None:
        """Ask an endpoint until it has seen the withdrawal, or counts too few others.

        With a patience of 0 it is asked once: as long as the announcement is still there on the
        withdrawn endpoint, no other endpoint can have seen it go.
        """
        until = Deadline(self._clock, patience)
        # The last question may be asked just before the patience ends, and needs time of its own.
        ending = Deadline(self._clock, patience + COMMAND_SECONDS)
        seen = None
        try:
            with self._connections.open(other, ending, finding) as shell:
                while True:
                    seen = self._counter.announced(shell)
                    left = self._count_there(other, seen, router_id)
                    followed = router_id not in seen.by or left < self._vip.floor
                    if followed or until.passed:
                        return seen
                    self._clock.sleep(POLL_SECONDS)
        except HandlerError:
            # The last view stays true as long as no newer view was had.
            return seen

    def _announces(self) -> bool:
        return self._counter.see(self._shell).announced
