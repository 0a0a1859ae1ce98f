"""How many other endpoints announce a VIP: one endpoint's routing tells, or each one is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from anycast_checks.routing.daemon import RoutingDaemon, RoutingState

from ..errors import UncountableError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import Deadline
from ..transport.connections import Connections
from ..transport.shell import Shell
from .announced import Announced, Others, count_announcers, shows_all
from .by_site import assumed, count_site
from .peers import Peers
from .routers import Routers
from .see import see_routing
from .tally import RouterIds, Tally

# Where a VIP has more endpoints, a run that has nothing to decide asks none of them. Each endpoint
# has such runs, and together they would be as many logins as the square of that number.
MOST_IN_PEACE = 16
# Values of the fleet file's `routing` with which no endpoint knows who else announces a VIP.
NEVER_SHOW_ALL = frozenset({"bgp", "none"})


class Counter:
    """Counts who announces a VIP, for one run on one of its endpoints."""

    def __init__(
        self,
        vip: Vip,
        endpoint: Endpoint,
        connections: Connections,
        daemons: Sequence[RoutingDaemon],
        router_ids: RouterIds,
        deadline: Deadline,
    ) -> None:
        """Count for an endpoint.

        Args:
            vip: the VIP whose announcers are counted.
            endpoint: the endpoint of the run, which is not one of the others.
            connections: lead to the other endpoints.
            daemons: the routing daemons that may run on an endpoint.
            router_ids: remembers the router-ids of the endpoints.
            deadline: the deadline of the run.
        """
        self._vip = vip
        self._endpoint = endpoint
        self._connections = connections
        self._daemons = daemons
        self._router_ids = router_ids
        self._routers = Routers(vip, endpoint, connections, daemons, router_ids, deadline)
        self._deadline = deadline

    def see(self, shell: Shell) -> RoutingState:
        """Ask the routing daemon of an endpoint about the VIP; raises as `see_routing` does."""
        return see_routing(shell, self._vip, self._daemons)

    def announced(self, shell: Shell) -> Announced:
        """Ask it who announces the VIP; raises as `see` and `count_announcers` do."""
        return count_announcers(self.see(shell))

    def seen_by(self, other: Endpoint, seen: Announced, own: str, *, asks: bool = False) -> Tally:
        """Count the other endpoints among the announcers that another endpoint sees.

        Args:
            other: the endpoint that sees them.
            seen: who announces the VIP, as it sees that.
            own: router-id of the run's endpoint, which is left out.
            asks: asks the endpoints with unknown router-ids for these where the floor rests on
                them.
        """
        vip, learnt = self._vip, {other.name: seen.asked}

        def count(said: Mapping[str, str]) -> Tally:
            return self._routers.tally(seen.by, own, {**self._routers.known, **learnt, **said})

        if asks and count({}).number < vip.floor:
            unlearnt = self._routers.unlearnt(seen.by, own, self._routers.known | learnt)
            self._routers.ask(unlearnt, lambda said: count(said).number >= vip.floor)
        return count({})

    def others(
        self, shell: Shell, under_way: Sequence[str] = (), *, in_peace: bool = False
    ) -> Others:
        """Count the other endpoints that announce the VIP.

        Args:
            shell: leads to the run's endpoint.
            under_way: endpoints that may be withdrawn at this moment, and do not count.
            in_peace: nothing is to be decided, so that many endpoints may be spared.

        Raises:
            UncountableError: the routing there does not tell.
            HandlerError: the endpoint cannot be asked.
        """
        vip = self._vip
        spares = in_peace and len(vip.endpoints) > MOST_IN_PEACE
        if vip.count_by == "peers" or (vip.count_by == "auto" and vip.routing in NEVER_SHOW_ALL):
            return self._ask_peers(shell, under_way, spares=spares)
        state = self.see(shell)
        if vip.count_by == "auto" and not shows_all(state):
            return self._ask_peers(shell, under_way, state, spares=spares)
        try:
            announced = count_announcers(state)
        except UncountableError:
            if not self._may_be_apart:
                raise
            return self._ask_peers(shell, under_way, state)
        if not announced.by and vip.count_by == vip.routing == "auto":
            # Perhaps OSPF has the routers alone, and a bgpd that has ended the VIP.
            heard = self._ask_peers(shell, under_way, state)
            if heard.number:
                return heard
        counted = self._count_in(state, announced, under_way, in_peace=in_peace)
        if self._may_be_apart and counted.counted(vip).is_few:
            return self._ask_peers(shell, under_way, state, spares=spares)
        return counted

    @property
    def _may_be_apart(self) -> bool:
        """Whether sites may be areas of OSPF, which do not show each other all announcers."""
        return self._vip.count_by == "auto" and len(self._vip.sites) > 1

    def _count_in(
        self,
        state: RoutingState,
        announced: Announced,
        under_way: Sequence[str],
        *,
        in_peace: bool,
    ) -> Others:
        """Count in the state of the routing on the run's endpoint."""
        vip, seen = self._vip, (announced.by, announced.asked)
        trouble = self._router_ids.learn(vip, self._endpoint, announced.asked)

        def count(said: Mapping[str, str]) -> Others:
            return self._count_known(state, announced, said, under_way)

        def is_enough(said: Mapping[str, str]) -> bool:
            return not count(said).counted(vip).is_few

        unlearnt = self._routers.unlearnt(*seen, self._routers.known, under_way)
        if unlearnt and not self._may_be_apart and (in_peace or not is_enough({})):
            if in_peace and len(vip.endpoints) > MOST_IN_PEACE:
                return count({})._replace(trouble=trouble, are_spared=True)
            trouble = self._routers.ask(unlearnt, is_enough) or trouble
        return count({})._replace(trouble=trouble)

    def _count_known(
        self,
        state: RoutingState,
        announced: Announced,
        said: Mapping[str, str],
        under_way: Sequence[str],
    ) -> Others:
        """Count by the router-ids that are known."""
        vip, routers, seen = self._vip, self._routers, (announced.by, announced.asked)
        known = routers.known | dict(said)
        found = routers.tally(*seen, known, under_way)
        leaves = tuple(under_way) if found.left_out else ()
        here = [n for n, one in known.items() if one in announced.by and n not in under_way]
        unknown = [one.name for one in vip.endpoints if one.name not in known]
        return Others(
            found.number,
            state.announced,
            routers.unlearnt(*seen, known, under_way) if found.unsure else (),
            found.strangers,
            announced.asked,
            under_way=leaves,
            site=count_site(vip, self._endpoint, here, (*unknown, *leaves)),
        )

    def _ask_peers(
        self,
        shell: Shell,
        under_way: Sequence[str],
        state: RoutingState | None = None,
        *,
        spares: bool = False,
    ) -> Others:
        vip, endpoint = self._vip, self._endpoint
        asked = (vip, endpoint, self._connections, self._daemons, self._deadline, under_way)
        peers = None if spares else Peers(*asked)
        own = None
        # Where the routing daemon cannot be asked the others are counted all the same.
        with suppress(UncountableError):
            own = (state or self.see(shell)).announced
        if peers is None:
            return Others(0, own, are_spared=True)
        announcing, gaps = peers.wait()
        self._routers.learn(peers.router_ids)
        return Others(
            len(announcing),
            own,
            gaps,
            under_way=tuple(under_way),
            assumed=assumed(vip, endpoint, announcing, gaps),
            site=count_site(vip, endpoint, announcing, (*gaps, *under_way)),
        )
