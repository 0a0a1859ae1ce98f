"""What OSPF has made of an act, here and elsewhere, and how many others still announce."""

from __future__ import annotations

import time

from .count import Announced, Uncountable, ask_ospf, count_others, is_in_ospf
from .deadline import RUN_SECONDS, Deadline
from .errors import HandlerError
from .fleet import Endpoint, Fleet
from .outcome import Outcome, Request
from .shell import COMMAND_SECONDS, Shell, open_shell

WITHDRAWN_SECONDS = 2.0
RESTORED_SECONDS = 5.0
POLL_SECONDS = 0.1
RECOUNT_SECONDS, RECOUNT_STEP, RECOUNT_LONGEST = 1.5, 0.5, 10.0
# A router that ignored a change, because it followed another within a second, hears of it again
# after 5 to 9 s.
ELSEWHERE_SECONDS = 10.0
FIND_OTHER_SECONDS = 3.0
TAKE_BACK_SECONDS = 3.0


class Routing:
    """The routing as the endpoint of a request has it, and as another one has it."""

    def __init__(self, fleet: Fleet, outcome: Outcome, shell: Shell, deadline: Deadline) -> None:
        self._fleet = fleet
        self._request: Request = outcome.request
        self._outcome = outcome
        self._shell = shell
        self._deadline = deadline

    def count(self) -> int:
        """Count the other endpoints that announce the VIP; raises Uncountable."""
        request = self._request
        return count_others(self._fleet, request.vip, request.endpoint, self._shell, self._deadline)

    def wait_for_own_lsa(self, *, there: bool) -> None:
        """Wait until the endpoint's own LSA has followed the act, and put down whether it has."""
        seconds = RESTORED_SECONDS if there else WITHDRAWN_SECONDS
        end = time.monotonic() + self._deadline.left(seconds)
        try:
            while not (followed := self._is_in_ospf() is there) and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
        except (Uncountable, HandlerError) as error:
            self._outcome.note(f"not verified in OSPF: {error}")
            return
        self._outcome.verified["own_lsa"] = followed

    def recount(self, withdrawn_at: float) -> int | None:
        """Count again, some time after a withdrawal; None where it cannot be told.

        Of several monitoring hosts that withdrew at the same moment the first one to find too few
        announcing restores; each waits for its own time, by the endpoint's place in the fleet
        file.

        Args:
            withdrawn_at: when the address was taken away, by `time.monotonic`.
        """
        place = self._request.vip.endpoints.index(self._request.endpoint)
        seconds = min(RECOUNT_LONGEST, RECOUNT_SECONDS + RECOUNT_STEP * place)
        end = withdrawn_at + seconds
        time.sleep(max(0.0, min(end - time.monotonic(), self._deadline.left(RECOUNT_LONGEST))))
        try:
            others = self.count()
            # Where too few are left already, asking elsewhere would only cost time.
            if self._request.vip.count_by == "ospf" and others >= self._request.vip.floor:
                others = min(others, self._count_elsewhere(others, withdrawn_at))
        except (Uncountable, HandlerError) as error:
            self._outcome.note(f"not counted again: {error}")
            return None
        return others

    def _count_elsewhere(self, own_count: int, withdrawn_at: float) -> int:
        """Ask another endpoint whether it has seen the withdrawal, and how many it counts."""
        router_id = self._asked().asked
        finding = Deadline(self._deadline.left(FIND_OTHER_SECONDS))
        for other in self._request.vip.endpoints:
            if other is self._request.endpoint or finding.passed:
                continue
            seen = self._ask_other(other, router_id, finding, withdrawn_at)
            if seen is not None:
                self._outcome.verified["count_elsewhere"] = router_id not in seen.by
                return seen.others_than(router_id)
        self._outcome.note("no other endpoint could be asked whether it has seen it")
        return own_count

    def _ask_other(
        self, other: Endpoint, router_id: str, finding: Deadline, withdrawn_at: float
    ) -> Announced | None:
        """Ask until it has seen the withdrawal, which it cannot before it has left OSPF here.

        Where it sees that too few are left there is nothing to wait for.
        """
        waited = time.monotonic() - withdrawn_at
        left = self._deadline.left(RUN_SECONDS) - TAKE_BACK_SECONDS
        patience = Deadline(max(COMMAND_SECONDS, min(ELSEWHERE_SECONDS - waited, left)))
        floor, gone_here = self._request.vip.floor, self._outcome.verified.get("own_lsa")
        try:
            with open_shell(other, self._fleet.ssh, patience, finding) as shell:
                while True:
                    seen = ask_ospf(shell, self._request.vip)
                    followed = router_id not in seen.by or seen.others_than(router_id) < floor
                    if followed or not gone_here or patience.passed:
                        return seen
                    time.sleep(POLL_SECONDS)
        except (HandlerError, Uncountable):
            return None

    def _is_in_ospf(self) -> bool:
        return is_in_ospf(self._shell, self._request.vip)

    def _asked(self) -> Announced:
        return ask_ospf(self._shell, self._request.vip)
