"""Ask each of the other endpoints whether the VIP is present there, all at once and in time."""

from __future__ import annotations

from typing import NamedTuple

from ..endpoint.site import Site
from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import Deadline
from ..transport.connections import Connections
from ..transport.each import Answers
from ..transport.shell import COMMAND_SECONDS

# The whole asking takes no longer, connecting included, because other runs may wait for the lock.
PEERS_SECONDS = COMMAND_SECONDS
# Once as many announce as the floor wants, the rest cannot change a decision any more.
REST_SECONDS = 0.5


class Heard(NamedTuple):
    """How many of the others have the VIP, and the names of those that did not say so in time."""

    number: int
    gaps: tuple[str, ...]


class Peers:
    """The other endpoints of a VIP, which are being asked from the beginning."""

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        connections: Connections,
        deadline: Deadline,
        under_way: str = "",
    ) -> None:
        """Ask the endpoints of a VIP.

        Args:
            vip: the VIP.
            endpoint: the run's own endpoint, which is not asked.
            connections: lead to the others.
            deadline: the deadline of the run.
            under_way: an endpoint that does not count, whatever it says, and is not asked.
        """
        self._vip = vip
        self._connections = connections
        self._until = deadline.within(PEERS_SECONDS)
        self._peers = [
            other for other in vip.endpoints if other is not endpoint and other.name != under_way
        ]
        self._answers = Answers(self._is_present, self._peers)

    def wait(self) -> Heard:
        """Wait for the answers, and return what is known in the end."""
        present: dict[str, bool | None] = {}
        until = self._until
        enough = False
        while len(present) < len(self._peers):
            answer = self._answers.next(until.left(PEERS_SECONDS))
            if answer is None:
                break
            peer, present[peer.name] = answer
            if not enough and _number(present) >= self._vip.floor:
                enough, until = True, until.within(REST_SECONDS)
        gaps = tuple(peer.name for peer in self._peers if present.get(peer.name) is None)
        return Heard(_number(present), gaps)

    def _is_present(self, endpoint: Endpoint) -> bool | None:
        try:
            with self._connections.open(endpoint, self._until) as shell:
                return Site(shell, self._vip).is_present()
        except HandlerError:
            return None


def _number(present: dict[str, bool | None]) -> int:
    return sum(is_present is True for is_present in present.values())
