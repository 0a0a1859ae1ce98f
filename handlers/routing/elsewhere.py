"""Ask another endpoint whether it has seen a withdrawal; more of them where the first is silent."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock
from typing import NamedTuple

from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import RUN_SECONDS, Deadline
from ..transport.connections import Connections
from ..transport.each import Answers
from ..transport.shell import COMMAND_SECONDS
from .announced import Announced
from .count import Counter

POLL_SECONDS = 0.1
FIND_OTHER_SECONDS = 3.0
# After this time the next endpoints are asked beside the first, all at once.
FIRST_ALONE_SECONDS = 1.0
MOST_ASKED = 5


class View(NamedTuple):
    """A withdrawal as another endpoint sees it.

    Attributes:
        endpoint: the endpoint that was asked.
        seen: who announces the VIP, as this endpoint sees that.
        number: how many endpoints are among these for certain, but for the one that was withdrawn.
        is_few: whether these are surely fewer than the floor of the VIP.
    """

    endpoint: Endpoint
    seen: Announced
    number: int
    is_few: bool


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
        self, router_id: str, patience: Callable[[], float], *, after: View | None = None
    ) -> View | None:
        """Ask the first endpoint that answers, until it has seen the withdrawal.

        Args:
            router_id: that of the endpoint that was withdrawn. An endpoint with the same one is the
                same router, and cannot see it go.
            patience: gives the seconds in which an endpoint may still learn of the withdrawal.
                With 0 it is asked once: as long as the announcement is still there on the withdrawn
                endpoint, no other endpoint can have seen it go.
            after: a view in which too few are left. Another endpoint than that one is asked, and
                until it sees too few as well, since it may learn of a change later.

        Returns:
            The view of that endpoint; None where none has answered.
        """
        others = [one for one in self._others if after is None or one is not after.endpoint]
        finding = self._deadline.within(FIND_OTHER_SECONDS)
        is_found, first_is_silent = Lock(), Event()

        def ends(view: View) -> bool:
            return view.is_few or (after is None and router_id not in view.seen.by)

        def ask_one(other: Endpoint) -> View | None:
            is_first = other is others[0]
            if not is_first:
                first_is_silent.wait(FIRST_ALONE_SECONDS)
                if is_found.locked():
                    return None
            try:
                return self._ask_until(ends, other, router_id, finding, patience, is_found)
            finally:
                if is_first:
                    first_is_silent.set()

        answers = Answers(ask_one, others)
        for _ in others:
            # Each of them ends in time by itself.
            answer = answers.next(self._deadline.left(RUN_SECONDS))
            if answer is None:
                break
            _, view = answer
            if view is not None:
                return self._view(view.endpoint, view.seen, router_id, asks=True)
        return None

    def _ask_until(
        self,
        ends: Callable[[View], bool],
        other: Endpoint,
        router_id: str,
        finding: Deadline,
        patience: Callable[[], float],
        is_found: Lock,
    ) -> View | None:
        """Ask one until its view ends the asking, and go on if it is the first to answer."""
        seconds = patience()
        until = Deadline(self._clock, seconds)
        # The last question may be asked just before the patience ends, and needs time of its own.
        ending = Deadline(self._clock, seconds + COMMAND_SECONDS)
        view = None
        try:
            with self._connections.open(other, ending, finding) as shell:
                while True:
                    heard = self._counter.announced(shell)
                    if heard.asked == router_id:
                        return view
                    if view is None and not is_found.acquire(blocking=False):
                        return None
                    view = self._view(other, heard, router_id)
                    if ends(view) or until.passed:
                        return view
                    self._clock.sleep(POLL_SECONDS)
        except HandlerError:
            # The last view stays true as long as no newer view was had.
            return view

    def _view(
        self, other: Endpoint, seen: Announced, router_id: str, *, asks: bool = False
    ) -> View:
        found = self._counter.seen_by(other, seen, router_id, asks=asks)
        return View(other, seen, found.number, found.number + found.unsure < self._vip.floor)
