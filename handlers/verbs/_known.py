"""What `status --watcher` shows of an endpoint: what the watcher of this host knows of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from anycast_checks.times import lasting

from ..decision.facts import State, name_some
from ..fleet.values import Endpoint, Vip
from ..watch.asking import OLD_SECONDS, REMEDY
from ..watch.board import EndpointState
from ..watch.pace import longest_known
from ..watch.reading import Known
from ._table import Row, said_hold

COLUMNS = ("state", "address", "routing", "latch", "hold")
RELOAD = "`systemctl reload anycast-watch` has it read the fleet file anew"
NOT_WATCHED = f"the watcher does not watch it; {RELOAD}; {REMEDY}"


def rows(vips: Sequence[Vip], site: str | None, known: Known, now: float) -> list[Row]:
    """Show what is known of each endpoint of some VIPs, or of one site.

    Args:
        vips: the VIPs.
        site: the site; None for all.
        known: what the watcher has answered.
        now: the wall clock.
    """
    oldest = _oldest(known)
    found = []
    for vip in vips:
        for one in vip.endpoints:
            if site in (None, one.site):
                state = known.endpoints.get((vip.name, vip.address, one.name, one.address))
                found.append(_row(vip, one, _at(state, known.age, oldest), oldest, now))
    return found


def how_old(found: Sequence[Row], known: Known) -> str:
    """Say how old the knowledge that is shown is at most, of its two kinds.

    Args:
        found: the rows that `rows` has made.
        known: what the watcher has answered.
    """
    heard_ago = (row.document["stream_age"] for row in found if row.is_seen)
    looked_ago = (row.document["look_age"] for row in found)
    streams = [age for age in heard_ago if age is not None]
    # The findings of an older look are not shown.
    oldest = _oldest(known)
    looks = [age for age in looked_ago if age is not None and age <= oldest]
    heard = f"{math.ceil(max(streams))} s old" if streams else "unknown"
    looked = f"at most {math.ceil(max(looks))} s old" if looks else "unknown"
    return f"watcher: state and presence {heard}; routing, latch and hold {looked}"


def not_in_file(vips: Sequence[Vip], known: Known) -> str:
    """Name what the watcher watches, and the fleet file does not have; empty where that is none.

    Args:
        vips: all VIPs of the fleet file.
        known: what the watcher has answered.
    """
    there = {
        (vip.name, vip.address, one.name, one.address) for vip in vips for one in vip.endpoints
    }
    left = sorted({f"{vip} {name}" for vip, _, name, _ in known.endpoints.keys() - there})
    if not left:
        return ""
    return f"it still acts on {name_some(left)}, though no longer in the fleet file: {RELOAD}"


def _oldest(known: Known) -> float:
    """Give how many seconds ago a look may have been for its facts to be those of now."""
    return known.age + longest_known(len(known.endpoints))


def _at(state: EndpointState | None, age: float, oldest: float) -> EndpointState | None:
    """Give the same with the ages of now; what is too old is not known."""
    if state is None:
        return None
    heard = None if state.stream_age is None else state.stream_age + age
    looked = None if state.look_age is None else state.look_age + age
    state = state._replace(stream_age=heard, look_age=looked)
    if looked is None or looked > oldest:
        state = state._replace(announced=None, latched=None, held=None, hold_unknown=False)
    if state.state is not State.UNKNOWN:
        if heard is not None and heard <= OLD_SECONDS:
            return state
        state = state._replace(state=State.UNKNOWN, text="its stream is silent")
    return state._replace(present=None, announced=None)


def _row(
    vip: Vip, endpoint: Endpoint, state: EndpointState | None, oldest: float, now: float
) -> Row:
    trouble = _trouble(vip, state, oldest) if state else NOT_WATCHED
    state = state or EndpointState(endpoint.name, endpoint.address)
    is_seen = state.state is not State.UNKNOWN
    said = tuple(_remarks(state, trouble, now)) if is_seen else (trouble,)
    is_announced = state.announced or vip.routing == "none"
    is_well = state.state is State.OK and state.present is True and is_announced and not said
    return Row(
        vip,
        endpoint,
        _cells(state, now),
        said,
        is_well,
        _colour(state),
        _document(vip, endpoint, state, trouble),
        state.present if vip.routing == "none" else state.announced,
        is_seen=is_seen,
        trouble=trouble,
    )


def _trouble(vip: Vip, state: EndpointState, oldest: float) -> str:
    """Say what the watcher does not know; empty where it knows all."""
    if state.state is State.UNKNOWN:
        return state.text or "nothing is known"
    if state.look_age is None:
        return "the watcher has not looked at it yet"
    if state.look_age > oldest:
        return f"the watcher has last looked at it {lasting(state.look_age)} ago"
    if state.latched is None:
        return state.trouble or "its notes could not be read"
    if state.hold_unknown:
        return state.trouble or "its hold could not be read"
    if state.announced is None and vip.routing != "none":
        return f"routing unknown: {state.trouble or 'the last look could not tell'}"
    return ""


def _remarks(state: EndpointState, trouble: str, now: float) -> Iterator[str]:
    # A failure that is not certain yet has a kind already.
    if state.state is not State.OK or state.kind:
        yield state.text or f"the service is {state.state.name}"
    # A line about an act begins with the name that stands before the remark.
    said = state.trouble.removeprefix(f"{state.name}: ")
    if said and said not in trouble:
        yield f"by the last look or act: {said}"
    if state.latched and not said:
        yield "withdrawn by the suite: `history` says why"
    if state.held:
        has_expired = state.held.until is not None and state.held.until <= now
        yield said_hold(state.held.by, state.held.reason, has_expired=has_expired)
    if state.present and state.announced is False:
        yield "present, and not announced: run doctor to see why"
    if trouble:
        yield trouble


def _cells(state: EndpointState, now: float) -> tuple[str, ...]:
    latch = {True: "yes", False: "-", None: "?"}[state.latched]
    noted = (latch, _hold(state, now))
    if state.state is State.UNKNOWN:
        return ("?", "?", "?", *noted)
    present = {True: "present", False: "absent", None: "?"}[state.present]
    routing = {True: "announced", False: "not", None: "unknown"}[state.announced]
    return (state.state.name, present, routing, *noted)


def _hold(state: EndpointState, now: float) -> str:
    if state.hold_unknown:
        return "unreadable"
    if state.held is None:
        return "?" if state.latched is None else "-"
    if state.held.until is None:
        return "held"
    left = state.held.until - now
    return f"{lasting(left)} left" if left > 0 else "expired"


def _colour(state: EndpointState) -> str:
    if state.state in (State.UNKNOWN, State.CRITICAL) or (
        state.present and state.announced is False
    ):
        return "red"
    return "green" if state.present else "yellow"


def _document(vip: Vip, endpoint: Endpoint, state: EndpointState, error: str) -> dict[str, Any]:
    """Give what a program is told of it, as `status --json` does; null is what nobody knows."""
    latch = {"age": None, "by": None, "reason": state.trouble or None} if state.latched else None
    held = state.held
    hold = {"by": held.by, "until": held.until, "reason": held.reason} if held else None
    return {
        "vip": vip.name,
        "endpoint": endpoint.name,
        "site": endpoint.site or None,
        "address": endpoint.address,
        "present": state.present,
        "on": None,
        "draining": None,
        "announced": state.announced,
        "routing": None,
        "latch": latch,
        "hold": hold,
        "error": error or None,
        "state": state.state.name,
        "text": state.text,
        "stream_age": _rounded(state.stream_age),
        "look_age": _rounded(state.look_age),
    }


def _rounded(age: float | None) -> float | None:
    return None if age is None else round(age, 1)
