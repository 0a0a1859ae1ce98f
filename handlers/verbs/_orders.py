"""A person's order (`hold` or `release`), carried out on each endpoint that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from anycast_checks.line import clean

from ..errors import DONE
from ..fleet.values import Endpoint, Fleet, Vip
from ..operation.on_each import Do, on_each
from ..operation.operate import this_host
from ..operation.request import Request
from ._options import LINE, say
from ._progress import counting


class Follows(NamedTuple):
    """The words for an order on several endpoints: what is done, and what follows where it is not.

    A person who holds a pool has to know which endpoints go on as before, and why that matters.
    """

    done: str
    not_done: str
    then: str


def give_order(
    fleet: Fleet,
    request: Request,
    endpoints: tuple[Endpoint, ...],
    do: Do,
    follows: Follows,
) -> int:
    """Carry out an order on each endpoint, print a line each, and give the highest exit code.

    Where there are several endpoints a last line has how many it was carried out on, and names the
    others.
    """
    with counting(request.verb.name) as awaited:
        outcomes = on_each(fleet, request, endpoints, do, this_host(fleet), awaited)
    for outcome in outcomes:
        say(clean(outcome.line, LINE))
    if len(outcomes) > 1:
        failed = [outcome.request.endpoint for outcome in outcomes if outcome.exit != DONE]
        say(clean(_summary(request.vip, failed, follows), LINE))
    return max(outcome.exit for outcome in outcomes)


def _summary(vip: Vip, failed: list[Endpoint], follows: Follows) -> str:
    total = len(vip.endpoints)
    text = f"{vip.name}: {follows.done} on {total - len(failed)} of {total}"
    if not failed:
        return text
    names = ", ".join(_groups(vip, failed))
    return f"{text}; {follows.not_done}: {names}: {follows.then}"


def _groups(vip: Vip, failed: list[Endpoint]) -> Iterator[str]:
    """Name a site where all of it failed, and the endpoints elsewhere."""
    for site, members in vip.sites.items():
        names = [one.name for one in members if one in failed]
        if site and len(names) == len(members) > 1:
            yield f"all {len(members)} of {site}"
        else:
            yield from names
