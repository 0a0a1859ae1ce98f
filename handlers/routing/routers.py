"""Which endpoints are among the announcers in OSPF, by the router-ids that each of them has said.

A router-id that no endpoint has said counts for nobody: it may be of another zone, or forgotten.
Where a floor rests on such router-ids, the endpoints that have not said theirs are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from anycast_checks.routing.daemon import RoutingDaemon

from ..errors import HandlerError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import Deadline
from ..transport.connections import Connections
from ..transport.each import Answers
from .peers import PEERS_SECONDS, REST_SECONDS
from .see import router_id_of, see_routing
from .tally import RouterIds, Tally, tally, without_expected


class Routers:
    """The router-ids of the endpoints of a VIP, for one run on one of these."""

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        connections: Connections,
        daemons: Sequence[RoutingDaemon],
        router_ids: RouterIds,
        deadline: Deadline,
    ) -> None:
        """Know the router-ids for a run; see `Counter`."""
        self._vip = vip
        self._others = [other for other in vip.endpoints if other is not endpoint]
        self._connections = connections
        self._daemons = daemons
        self._router_ids = router_ids
        self._deadline = deadline
        self._said: dict[str, str] = {}
        # A run asks none of them twice that does not answer.
        self._silent: set[str] = set()

    @property
    def known(self) -> dict[str, str]:
        """The router-ids that are known, by the names of the endpoints."""
        return self._router_ids.known(self._vip) | self._said

    def learn(self, said: Mapping[str, str]) -> str:
        """Remember router-ids, by the names of their endpoints; see RouterIds.

        This run knows them even where they cannot be remembered for the next one.
        """
        self._said |= {name: router_id for name, router_id in said.items() if router_id}
        return self._router_ids.learn_all(self._vip, said)

    def tally(
        self,
        by: frozenset[str],
        own: str,
        known: Mapping[str, str],
        under_way: Sequence[str] = (),
    ) -> Tally:
        """Count the other endpoints among the announcers.

        Args:
            by: router-ids of those who announce the VIP.
            own: router-id of the run's endpoint, which is left out.
            known: the router-ids of endpoints, by their names.
            under_way: endpoints that may be withdrawn at this moment, and do not count.
        """
        names = [other.name for other in self._others]
        leaving = [known.get(name) for name in names if name in under_way]
        announcers = without_expected(self._vip, by, known.values()) - {own}
        return tally(announcers, map(known.get, names), *leaving)

    def unlearnt(
        self,
        by: frozenset[str],
        own: str,
        known: Mapping[str, str],
        under_way: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """Name the endpoints that may be among the announcers under an unknown router-id.

        Those that the fleet file expects beside the endpoints may be some of them too.
        """
        if by <= {own, *known.values()}:
            return ()
        names = (other.name for other in self._others)
        return tuple(name for name in names if name not in known and name not in under_way)

    def ask(self, names: Sequence[str], is_enough: Callable[[dict[str, str]], bool]) -> str:
        """Ask endpoints for their router-ids, all at once and in time, and remember these.

        Args:
            names: the endpoints to ask.
            is_enough: tells of the router-ids that were said, by names, whether these will do.

        Returns:
            What went wrong, empty where nothing did.
        """
        asked = [e for e in self._others if e.name in names and e.name not in self._silent]
        until = self._deadline.within(PEERS_SECONDS)
        answers = Answers(lambda endpoint: self._router_id(endpoint, until), asked)
        said: dict[str, str] = {}
        waiting, enough = until, False
        for _ in asked:
            if not enough and is_enough(said):
                enough, waiting = True, until.within(REST_SECONDS)
            answer = answers.next(waiting.left(PEERS_SECONDS))
            if answer is None:
                break
            endpoint, router_id = answer
            if router_id:
                said[endpoint.name] = router_id
        if not enough:
            self._silent |= {endpoint.name for endpoint in asked} - said.keys()
        return self.learn(said)

    def _router_id(self, endpoint: Endpoint, until: Deadline) -> str:
        try:
            with self._connections.open(endpoint, until) as shell:
                return router_id_of(see_routing(shell, self._vip, self._daemons))
        except HandlerError:
            return ""
