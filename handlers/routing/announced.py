"""Who announces a VIP, as one endpoint's routing tells, and how many of these are endpoints."""

from __future__ import annotations

from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingState, Unknown

from ..decision.situation import Counted, SiteCount
from ..errors import UncountableError
from ..fleet.values import Vip


class Announced(NamedTuple):
    """The router-ids of those who announce a VIP, and of the router that was asked."""

    by: frozenset[str]
    asked: str


class Others(NamedTuple):
    """How many other endpoints announce a VIP.

    Attributes:
        number: how many of them are known to announce.
        own: whether the run's endpoint announces the VIP itself; None where that is unknown.
        gaps: the names of the endpoints that may announce beside these: those that could not be
            asked, be it for their router-ids.
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
