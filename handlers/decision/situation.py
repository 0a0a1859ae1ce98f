"""What a look and a count have shown, reduced to what a decision needs: frozen values.

They are apart from the other facts because most calls of the handler neither look nor count, and
so need not load this module.
"""

from __future__ import annotations

from typing import NamedTuple

from .facts import LISTED, name_some


class Held(NamedTuple):
    """A hold on the endpoint; ``present`` tells whether the VIP was there when it was placed.

    ``unreadable`` marks a file that cannot be read, and so has to be taken for a hold.
    """

    by: str = ""
    reason: str = ""
    present: bool = True
    expired: bool = False
    unreadable: bool = False

    def __str__(self) -> str:
        """Say who holds the endpoint, and why."""
        return f"held by {self.by}" + (f" ({self.reason})" if self.reason else "")


class Seen(NamedTuple):
    """What a look at the endpoint showed; counts are of the last day, ages in seconds.

    ``present`` is whether any interface carries the VIP, ``elsewhere`` names those that are not its
    own, and ``misplaced`` is set where its own does not. ``latch_age`` is None where no latch is on
    that was written since the endpoint booted, ``held`` where there is no hold. ``hold_unknown`` is
    set where the look could not find out whether there is a hold, ``stale_latch`` where a latch is
    on that was written before the endpoint booted. ``take_backs`` is how many withdrawals were
    taken back within ten minutes.
    """

    present: bool
    latch_age: float | None = None
    withdrawals: int = 0
    restores: int = 0
    held: Held | None = None
    elsewhere: str = ""
    hold_unknown: bool = False
    stale_latch: bool = False
    take_backs: int = 0
    misplaced: bool = False

    @property
    def is_left_over(self) -> bool:
        """Whether a latch is on although the VIP is back in its place: its withdrawal is over."""
        back = self.present and not self.misplaced
        return back and (self.stale_latch or self.latch_age is not None)

    @property
    def may_be_held(self) -> bool:
        """Whether there is a hold, or may be one."""
        return self.held is not None or self.hold_unknown


class SiteCount(NamedTuple):
    """How many *other* endpoints of the endpoint's own site announce the VIP, of how many in all.

    ``floor`` is how many of the site have to; ``may_be_more`` is set where an endpoint of the site
    was not counted and may announce.
    """

    name: str
    others: int
    endpoints: int
    floor: int
    may_be_more: bool = False


class Counted(NamedTuple):
    """How many *other* endpoints announce the VIP, of how many endpoints there are in all.

    ``others`` is None where the number is unknown, and ``trouble`` says why; where that is empty,
    nobody was counted, since nothing is to be decided. ``spacing_left`` is the time in seconds for
    which the automation may withdraw no further endpoint of the VIP.
    ``announced`` tells whether the endpoint itself announces the VIP; it is None where its routing
    daemon was not asked. ``gaps`` names the endpoints that could not be asked, and so may announce
    beside those that were counted; it is empty where all were counted. ``under_way`` names
    endpoints that were not counted because they may be withdrawn at this moment. ``strangers`` are
    the router-ids of announcers that are no endpoint and were not counted. ``assumed`` is how many
    of the gaps are of other sites and taken for announcing, as each site keeps its share of the
    floor. ``site`` is None where the endpoint has no site, or its site has no floor of its own.
    """

    others: int | None
    floor: int
    endpoints: int
    trouble: str = ""
    spacing_left: float = 0.0
    announced: bool | None = None
    gaps: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    under_way: str = ""
    assumed: int = 0
    site: SiteCount | None = None

    @property
    def may_be_more(self) -> bool:
        """Whether an endpoint that was not counted may announce."""
        return bool(self.gaps or self.under_way)

    @property
    def unasked(self) -> str:
        """Say which endpoints could not be counted; empty where all could."""
        if self.gaps:
            return f"; {self.missing}"
        unlearnt = self.site is not None and self.site.may_be_more
        return "; not all router-ids in its site are known yet" if unlearnt else ""

    @property
    def missing(self) -> str:
        """Name the endpoints that could not be asked; there have to be some."""
        if len(self.gaps) <= LISTED:
            return f"{' and '.join(self.gaps)} could not be asked"
        return f"{name_some(self.gaps)} could not be asked"

    @property
    def is_assumed(self) -> bool:
        """Whether the floor is kept only by those that are taken for announcing."""
        return self.others is not None and self.others < self.floor <= self.others + self.assumed

    @property
    def few_in_all(self) -> bool:
        """Whether fewer others announce than the floor of the VIP; they have been counted."""
        return self.others is not None and self.others + self.assumed < self.floor

    @property
    def few_in_site(self) -> bool:
        """Whether fewer others announce in the endpoint's site than the floor of the site."""
        return self.site is not None and self.site.others < self.site.floor

    @property
    def is_few(self) -> bool:
        """Whether one of the floors is not kept."""
        return self.few_in_all or self.few_in_site

    @property
    def is_surely_few(self) -> bool:
        """Whether one of the floors is not kept, with nobody missing in the count of it."""
        in_all = self.few_in_all and not self.may_be_more
        return in_all or (self.few_in_site and not (self.site and self.site.may_be_more))

    def describe(self, verb: str = "announce") -> str:
        """Say how many announce, and what the floor is, of the VIP or of the site."""
        if self.few_in_all or self.site is None or not self.few_in_site:
            return f"{self.others} of {self.endpoints} {verb} it and the floor is {self.floor}"
        of = f"{self.site.endpoints} in {self.site.name}"
        return f"{self.site.others} of {of} {verb} it and the floor of a site is {self.site.floor}"
