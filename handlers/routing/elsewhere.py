"""Ask another endpoint whether it has seen a withdrawal; more of them where the first is silent."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock

from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import RUN_SECONDS, Deadline
from ..transport.connections import Connections
from ..transport.each import Answers
from ..transport.shell import COMMAND_SECONDS
from .announced import Announced
from .count import Counter
from .tally import Tally

POLL_SECONDS = 0.1
FIND_OTHER_SECONDS = 3.0
# After this time the next endpoints are asked beside the first, all at once.
FIRST_ALONE_SECONDS = 1.0
MOST_ASKED = 5


class Elsewhere:
    """The other endpoints of a VIP, one of which tells what it sees of a withdrawal."""

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        counter: Counter,
        connections: Connections,
        deadline: Deadline,
    ) -> None:
        """Ask the endpoints of a VIP but the one that was withdrawn; see `Follower`.

        They are of the same site: another site may be another area, which has never seen it.
        """
        self._vip = vip
        near = vip.sites[endpoint.site]
        self._others = [other for other in near if other is not endpoint][:MOST_ASKED]
        self._counter = counter
        self._connections = connections
        self._deadline = deadline
        self._clock = deadline.clock

    @property
    def has_others(self) -> bool:
        """Whether there is an endpoint to ask."""
        return bool(self._others)

    def ask(
        self, router_id: str, patience: Callable[[], float]
    ) -> tuple[Endpoint, Announced] | None:
        """Ask the first endpoint that answers, until it has seen the withdrawal.

        Args:
            router_id: that of the endpoint that was withdrawn. An endpoint with the same one is the
                same router, and cannot see it go.
            patience: gives the seconds in which an endpoint may still learn of the withdrawal.
                With 0 it is asked once: as long as the announcement is still there on the withdrawn
                endpoint, no other endpoint can have seen it go.

        Returns:
            The endpoint, and who announces the VIP as it sees that; None where none has answered.
        """
        finding = self._deadline.within(FIND_OTHER_SECONDS)
        is_found, first_is_silent = Lock(), Event()

        def ask_one(other: Endpoint) -> Announced | None:
            is_first = other is self._others[0]
            if not is_first:
                first_is_silent.wait(FIRST_ALONE_SECONDS)
                if is_found.locked():
                    return None
            try:
                return self._ask_until_seen(other, router_id, finding, patience, is_found)
            finally:
                if is_first:
                    first_is_silent.set()

        answers = Answers(ask_one, self._others)
        for _ in self._others:
            # Each of them ends in time by itself.
            answer = answers.next(self._deadline.left(RUN_SECONDS))
            if answer is None:
                break
            other, seen = answer
            if seen is not None:
                return other, seen
        return None

    def count(self, other: Endpoint, seen: Announced, router_id: str) -> Tally:
        """Count the endpoints that announce the VIP as another endpoint sees it."""
        return self._counter.seen_by(other, seen, router_id, asks=True)

    def _ask_until_seen(
        self,
        other: Endpoint,
        router_id: str,
        finding: Deadline,
        patience: Callable[[], float],
        is_found: Lock,
    ) -> Announced | None:
        """Ask one, also until it counts too few others, and go on if it is the first to answer."""
        seconds = patience()
        until = Deadline(self._clock, seconds)
        # The last question may be asked just before the patience ends, and needs time of its own.
        ending = Deadline(self._clock, seconds + COMMAND_SECONDS)
        seen = None
        try:
            with self._connections.open(other, ending, finding) as shell:
                while True:
                    heard = self._counter.announced(shell)
                    if heard.asked == router_id:
                        return seen
                    if seen is None and not is_found.acquire(blocking=False):
                        return None
                    seen = heard
                    left = self._counter.seen_by(other, seen, router_id)
                    is_few = left.number + left.unsure < self._vip.floor
                    if router_id not in seen.by or is_few or until.passed:
                        return seen
                    self._clock.sleep(POLL_SECONDS)
        except HandlerError:
            # The last view stays true as long as no newer view was had.
            return seen
