"""How many other endpoints announce a VIP: one endpoint's routing tells, or each one is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingDaemon, RoutingState, Unknown

from ..decision.situation import Counted, SiteCount
from ..errors import UncountableError
from ..fleet.values import Endpoint, Vip
from ..transport.clock import Deadline
from ..transport.connections import Connections
from ..transport.shell import Shell
from .by_site import assumed, count_site
from .peers import Peers
from .see import see_routing
from .tally import RouterIds, Tally, tally, unexpected

# Where a VIP has more endpoints, a run that has nothing to decide asks none of them. Each endpoint
# has such runs, and together they would be as many logins as the square of that number.
MOST_IN_PEACE = 16
# Values of the fleet file's `routing` with which no endpoint knows who else announces a VIP.
NEVER_SHOW_ALL = frozenset({"bgp", "none"})


class Announced(NamedTuple):
    """The router-ids of those who announce a VIP, and of the router that was asked."""

    by: frozenset[str]
    asked: str


class Others(NamedTuple):
    """How many other endpoints announce a VIP.

    Attributes:
        number: how many of them are known to announce, or may do so.
        own: whether the run's endpoint announces the VIP itself; None where that is unknown.
        gaps: the names of the endpoints that could not be asked.
        strangers: router-ids of the announcers that are no endpoint and are not expected.
        asked: router-id of the run's endpoint; empty where that is unknown.
        trouble: what went wrong beside, and does not change the number.
        under_way: endpoints that may announce, and were not counted because they may be withdrawn
            at this moment; empty where there is none.
        assumed: how many of the gaps are taken for announcing; see by_site.
        site: the count in the endpoint's own site; None where no floor of a site is set.
        are_spared: nobody was counted, and the number says nothing.
    """

    number: int
    own: bool | None = None
    gaps: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    asked: str = ""
    trouble: str = ""
    under_way: tuple[str, ...] = ()
    assumed: int = 0
    site: SiteCount | None = None
    are_spared: bool = False

    def counted(self, vip: Vip) -> Counted:
        """Give what a decision needs of this count."""
        return Counted(
            None if self.are_spared else self.number,
            vip.floor,
            len(vip.endpoints),
            announced=self.own,
            gaps=self.gaps,
            strangers=self.strangers,
            under_way=" and ".join(self.under_way),
            assumed=self.assumed,
            site=self.site,
        )


def count_announcers(state: RoutingState) -> Announced:
    """Read from the state of the routing who announces the VIP.

    Raises:
        UncountableError: the state does not tell.
    """
    every = (state, *state.beside)
    state = next((one for one in every if one.daemon.shows_all), state)
    if isinstance(state.announcers, Unknown):
        raise UncountableError(state.announcers.why)
    return Announced(state.announcers, state.router_id)


def shows_all(state: RoutingState) -> bool:
    """Tell whether the routing of one endpoint shows every other one that announces the VIP.

    Where the endpoint does not announce the VIP at the moment, any of its daemons may be the one
    that does so at other times.
    """
    every = (state,) if state.announced else (state, *state.beside)
    return all(one.daemon.shows_all for one in every)


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
        self._deadline = deadline

    def see(self, shell: Shell) -> RoutingState:
        """Ask the routing daemon of an endpoint about the VIP; raises as `see_routing` does."""
        return see_routing(shell, self._vip, self._daemons)

    def announced(self, shell: Shell) -> Announced:
        """Ask it who announces the VIP; raises as `see` and `count_announcers` do."""
        return count_announcers(self.see(shell))

    def tally(
        self,
        announced: Announced,
        own: str,
        learnt: Mapping[str, str],
        under_way: Sequence[str] = (),
    ) -> Tally:
        """Count the other endpoints among the announcers.

        Args:
            announced: who announces the VIP.
            own: router-id of the run's endpoint, which is left out.
            learnt: router-ids of endpoints by their names, where they are known better than from
                an earlier run.
            under_way: endpoints that may be withdrawn at this moment, and do not count.
        """
        known = self._router_ids.known(self._vip) | dict(learnt)
        names = [e.name for e in self._vip.endpoints if e is not self._endpoint]
        leaving = [known.get(name) for name in names if name in under_way]
        return tally(announced.by - {own}, map(known.get, names), *leaving)

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
        counted = self._count_in(state, announced, under_way)
        if self._may_be_apart and counted.counted(vip).is_few:
            return self._ask_peers(shell, under_way, state)
        return counted

    @property
    def _may_be_apart(self) -> bool:
        """Whether sites may be areas of OSPF, which do not show each other all announcers."""
        return self._vip.count_by == "auto" and len(self._vip.sites) > 1

    def _count_in(
        self, state: RoutingState, announced: Announced, under_way: Sequence[str]
    ) -> Others:
        """Count in the state of the routing on the run's endpoint."""
        vip = self._vip
        trouble = self._router_ids.learn(vip, self._endpoint, announced.asked)
        number, strangers, left_out = self.tally(announced, announced.asked, {}, under_way)
        leaves = tuple(under_way) if left_out else ()
        known = self._router_ids.known(vip)
        announcing = [name for name, one in known.items() if one in announced.by]
        unknown = [one.name for one in vip.endpoints if one.name not in known]
        here = [name for name in announcing if name not in under_way]
        site = count_site(vip, self._endpoint, here, (*unknown, *leaves))
        odd = unexpected(vip, strangers)
        return Others(number, state.announced, (), odd, announced.asked, trouble, leaves, site=site)

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
        return Others(
            len(announcing),
            own,
            gaps,
            under_way=tuple(under_way),
            assumed=assumed(vip, endpoint, announcing, gaps),
            site=count_site(vip, endpoint, announcing, (*gaps, *under_way)),
        )
