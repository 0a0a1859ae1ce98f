"""The board: all that the watcher knows at one moment, as frozen values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from anycast_checks.line import LIMIT, clean

from ..decision.facts import State

# How many of the last ones a document has, so that its size depends on the fleet file alone.
DECISIONS, FAILOVERS = 5, 10
SHORT = 40
# The name under which the sums have whole failovers.
ALL = "all"


class Held(NamedTuple):
    """A hold: who placed it and why, and when it expires (wall clock, None for never)."""

    by: str
    until: float | None = None
    reason: str = ""


class Decided(NamedTuple):
    """A decision: when (wall clock), by which rule, what was done, and as which exit code.

    It is that of a verb for people: 0 done or nothing to do, 1 refused, 2 tried and failed.
    """

    at: float
    rule: str
    text: str
    exit: int


class Stage(NamedTuple):
    """One stage of a failover: its name, and how many seconds it took."""

    name: str
    seconds: float


class Failover(NamedTuple):
    """A withdrawal by the watcher: of which endpoint, when it began (wall clock), its stages."""

    endpoint: str
    at: float
    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        """Give how long all of it took."""
        return sum(stage.seconds for stage in self.stages)


class Spent(NamedTuple):
    """One stage in all failovers since the start: how many had it, and their seconds together."""

    stage: str
    times: int
    seconds: float


class EndpointState(NamedTuple):
    """One endpoint of a VIP. Where something is not known it is None; UNKNOWN is *cannot tell*.

    Attributes:
        name: the name in the fleet file.
        address: the management address.
        state: the state of the service there.
        text: the words of the last sample.
        kind: of which kind the failure is, such as "refused"; empty where there is none.
        present: whether the VIP is on an interface of the endpoint.
        announced: whether a routing daemon there advertises it.
        latched: whether the suite has withdrawn it.
        held: the hold on it.
        since: since when the state is so (wall clock).
        why: why it is so, such as the reason of the last change.
        stream_age: seconds since the last line of the stream; None without a stream.
        samples: how many samples were taken since the start of the watcher.
        decisions: the last decisions, the newest last.
        site: its site; empty where the fleet file names none.
    """

    name: str
    address: str
    state: State = State.UNKNOWN
    text: str = ""
    kind: str = ""
    present: bool | None = None
    announced: bool | None = None
    latched: bool | None = None
    held: Held | None = None
    since: float | None = None
    why: str = ""
    stream_age: float | None = None
    samples: int = 0
    decisions: tuple[Decided, ...] = ()
    site: str = ""


class VipState(NamedTuple):
    """One VIP.

    ``announcing`` is how many endpoints announce it, None where nobody can tell, and
    ``common_cause`` what they seem to fail of together; empty where there is no such thing.
    ``failovers`` has the last ones, the newest last, and ``spent`` the sums of all of them.
    """

    name: str
    address: str
    floor: int
    endpoints: tuple[EndpointState, ...]
    announcing: int | None = None
    common_cause: str = ""
    failovers: tuple[Failover, ...] = ()
    spent: tuple[Spent, ...] = ()

    def with_failover(self, failover: Failover) -> VipState:
        """Give the same with one more failover."""
        last = (*self.failovers, failover)[-FAILOVERS:]
        stages = (*failover.stages, Stage(ALL, failover.seconds))
        return self._replace(failovers=last, spent=_sums(self.spent, stages))


class EngineState(NamedTuple):
    """An engine that is told: its name, how many results it took, and what is wrong."""

    name: str
    told: int = 0
    trouble: str = ""


class Board(NamedTuple):
    """Everything at one moment.

    ``version`` grows by one with each change that a person should see within a second; the ages
    and counts of samples are no such change. ``at`` and ``started`` are wall clock.
    """

    version: int
    started: float
    at: float
    vips: tuple[VipState, ...]
    engines: tuple[EngineState, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self, now: float) -> dict[str, Any]:
        """Give a document for JSON: ASCII, of a bounded size, null where something is unknown.

        Its ``age`` says how long ago all this was so: it grows where the watcher hangs.
        """
        return {
            "version": self.version,
            "started": _time(self.started),
            "at": _time(self.at),
            "age": round(max(0.0, now - self.at), 1),
            "notes": [_safe(note) for note in self.notes[-DECISIONS:]],
            "engines": [
                {"name": _safe(one.name, SHORT), "told": one.told, "trouble": _safe(one.trouble)}
                for one in self.engines
            ],
            "vips": [_vip(vip) for vip in self.vips],
        }


def _vip(vip: VipState) -> dict[str, Any]:
    return {
        "vip": _safe(vip.name),
        "address": _safe(vip.address, SHORT),
        "floor": vip.floor,
        "announcing": vip.announcing,
        "common_cause": _safe(vip.common_cause),
        "endpoints": [_endpoint(one) for one in vip.endpoints],
        "failovers": [_failover(one) for one in vip.failovers[-FAILOVERS:]],
    }


def _endpoint(one: EndpointState) -> dict[str, Any]:
    return {
        "endpoint": _safe(one.name),
        "site": _safe(one.site) or None,
        "address": _safe(one.address, SHORT),
        "state": one.state.name,
        "text": _safe(one.text),
        "kind": _safe(one.kind, SHORT),
        "present": one.present,
        "announced": one.announced,
        "latched": one.latched,
        "hold": _held(one.held),
        "since": _time(one.since),
        "why": _safe(one.why),
        "stream_age": None if one.stream_age is None else round(one.stream_age, 1),
        "samples": one.samples,
        "decisions": [
            {
                "at": _time(done.at),
                "rule": _safe(done.rule, SHORT),
                "text": _safe(done.text),
                "exit": done.exit,
            }
            for done in one.decisions[-DECISIONS:]
        ],
    }


def _held(held: Held | None) -> dict[str, Any] | None:
    if held is None:
        return None
    by, reason = _safe(held.by, SHORT), _safe(held.reason)
    return {"by": by, "until": _time(held.until), "reason": reason}


def _failover(one: Failover) -> dict[str, Any]:
    return {
        "endpoint": _safe(one.endpoint),
        "at": _time(one.at),
        "seconds": round(one.seconds, 3),
        "stages": {
            _safe(stage.name, SHORT): round(stage.seconds, 3) for stage in one.stages[-FAILOVERS:]
        },
    }


def _sums(spent: tuple[Spent, ...], stages: Iterable[Stage]) -> tuple[Spent, ...]:
    sums = {one.stage: one for one in spent}
    for name, seconds in stages:
        before = sums.get(name, Spent(name, 0, 0.0))
        sums[name] = Spent(name, before.times + 1, before.seconds + seconds)
    return tuple(sums.values())


def _time(at: float | None) -> float | None:
    return None if at is None else round(at, 3)


def _safe(text: str, limit: int = LIMIT) -> str:
    # Nearly all texts are clean already, and a thousand endpoints have many.
    sound = text.isascii() and text.isprintable() and len(text) <= limit and "|" not in text
    return text if sound else clean(text, limit)
