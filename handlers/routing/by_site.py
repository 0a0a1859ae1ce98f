"""What a count says of the sites: the floor of one's own, and those that cannot be seen.

A monitoring host that is cut off from other sites cannot count their endpoints. Each site has a
share of the VIP's floor, by its number of endpoints and rounded down. Endpoints of another site
that cannot be asked are taken for announcing, as far as that share goes and no further. So hosts
that cannot see each other's sites keep the whole floor together, and with nobody else in sight the
last endpoint that can be seen stays. Whoever is seen counts for what it is, and where it does not
announce, nobody of its site is taken for announcing.
"""

from __future__ import annotations

from collections.abc import Collection

from ..decision.situation import SiteCount
from ..fleet.values import Endpoint, Vip


def assumed(
    vip: Vip, endpoint: Endpoint, announcing: Collection[str], gaps: Collection[str]
) -> int:
    """Give how many of the endpoints that could not be asked are taken for announcing.

    Args:
        vip: the VIP.
        endpoint: the endpoint that may be withdrawn; for its own site nothing is assumed.
        announcing: the names of those that were seen announcing.
        gaps: the names of those that could not be asked.
    """
    total = 0
    for site, members in vip.sites.items():
        if site and site != endpoint.site:
            share = vip.floor * len(members) // len(vip.endpoints)
            seen = sum(one.name in announcing for one in members)
            missing = sum(one.name in gaps for one in members)
            # A site of which one has answered that it does not announce is in sight, and in
            # trouble; those that do not answer are hardly well.
            if seen + missing == len(members):
                total += min(missing, max(0, share - seen))
    return total


def count_site(
    vip: Vip, endpoint: Endpoint, announcing: Collection[str], unknown: Collection[str]
) -> SiteCount | None:
    """Count the others in the site of an endpoint; None where no floor of a site is set.

    Args:
        vip: the VIP.
        endpoint: the endpoint that may be withdrawn.
        announcing: the names of those that announce for certain.
        unknown: the names of those that may announce besides.
    """
    if not vip.min_announcing_per_site or not endpoint.site:
        return None
    members = vip.sites[endpoint.site]
    others = [one.name for one in members if one is not endpoint]
    return SiteCount(
        endpoint.site,
        sum(name in announcing for name in others),
        len(members),
        vip.min_announcing_per_site,
        any(name in unknown for name in others),
    )
