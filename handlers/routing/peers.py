"""Ask each of the other endpoints whether it announces the VIP, all at once and in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingDaemon

from ..endpoint.site import Site
from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import Deadline
from ..transport.connections import Connections
from ..transport.each import Answers
from ..transport.shell import COMMAND_SECONDS, Shell
from .by_site import count_site
from .see import router_id_of, see_routing

# The whole asking takes no longer, connecting included, because other runs may wait for the lock.
PEERS_SECONDS = COMMAND_SECONDS
# Once as many announce as the floor wants, the rest cannot change a decision any more.
REST_SECONDS = 0.5


class Heard(NamedTuple):
    """The names of the others that announce, and of those of which that is not known."""

    announcing: tuple[str, ...]
    gaps: tuple[str, ...]


class Peers:
    """The other endpoints of a VIP, which are being asked from the beginning.

    Attributes:
        router_ids: what those of them that have the VIP said of their router-ids, by their names.
    """

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        connections: Connections,
        daemons: Sequence[RoutingDaemon],
        deadline: Deadline,
        under_way: Sequence[str] = (),
    ) -> None:
        """Ask the endpoints of a VIP.

        Args:
            vip: the VIP.
            endpoint: the run's own endpoint, which is not asked.
            connections: lead to the others.
            daemons: the routing daemons that may run on an endpoint.
            deadline: the deadline of the run.
            under_way: endpoints that do not count, whatever they say, and are not asked.
        """
        self._vip = vip
        self._endpoint = endpoint
        self._connections = connections
        self._daemons = daemons
        self._until = deadline.within(PEERS_SECONDS)
        self.router_ids: dict[str, str] = {}
        self._peers = [
            other
            for other in vip.endpoints
            if other is not endpoint and other.name not in under_way
        ]
        self._answers = Answers(self._announces, self._peers)

    def wait(self) -> Heard:
        """Wait for the answers, and return what is known in the end."""
        known: dict[str, bool | None] = {}
        until = self._until
        enough = False
        while len(known) < len(self._peers):
            answer = self._answers.next(until.left(PEERS_SECONDS))
            if answer is None:
                break
            peer, known[peer.name] = answer
            if not enough and self._is_enough(known):
                enough, until = True, until.within(REST_SECONDS)
        gaps = tuple(peer.name for peer in self._peers if known.get(peer.name) is None)
        return Heard(tuple(_announcing(known)), gaps)

    def _is_enough(self, known: dict[str, bool | None]) -> bool:
        announcing = _announcing(known)
        site = count_site(self._vip, self._endpoint, announcing, ())
        kept = site is None or site.others >= site.floor
        return kept and len(announcing) >= self._vip.floor

    def _announces(self, endpoint: Endpoint) -> bool | None:
        try:
            with self._connections.open(endpoint, self._until) as shell:
                return Site(shell, self._vip).is_present() and self._is_heard(endpoint, shell)
        except HandlerError:
            return None

    def _is_heard(self, endpoint: Endpoint, shell: Shell) -> bool:
        """Tell whether a neighbor hears that the endpoint announces; raises as `see_routing`."""
        if self._vip.routing == "none":
            # Something else than a routing daemon announces the VIP, wherever it is present.
            return True
        state = see_routing(shell, self._vip, self._daemons)
        self.router_ids[endpoint.name] = router_id_of(state)
        return state.is_heard


def _announcing(known: dict[str, bool | None]) -> list[str]:
    return [name for name, announces in known.items() if announces]
