"""The board: all that the watcher knows at one moment, as frozen values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..decision.facts import State

# How many of the last ones a document has, so that its size depends on the fleet file alone.
DECISIONS, FAILOVERS = 5, 10
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
        look_age: seconds since the last look that has seen it; None where there was none.
        trouble: what the last look or act has found wrong, or could not find out.
        hold_unknown: whether the last look could not tell whether there is a hold.
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
    look_age: float | None = None
    trouble: str = ""
    hold_unknown: bool = False


class VipState(NamedTuple):
    """One VIP.

    ``announcing`` is how many endpoints announce it, None where nobody can tell, and
    ``common_cause`` what they seem to fail of together; empty where there is no such thing.
    ``failovers`` has the last ones, the newest last, and ``spent`` the sums of all of them.
    With the ``routing`` none of the fleet file an endpoint announces it where it is present.
    """

    name: str
    address: str
    floor: int
    endpoints: tuple[EndpointState, ...]
    announcing: int | None = None
    common_cause: str = ""
    failovers: tuple[Failover, ...] = ()
    spent: tuple[Spent, ...] = ()
    routing: str = "auto"

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
    and counts of samples are no such change. ``at`` and ``started`` are wall clock. ``fleet_file``
    is the fleet file that is watched by, without symbolic links.
    """

    version: int
    started: float
    at: float
    vips: tuple[VipState, ...]
    engines: tuple[EngineState, ...] = ()
    notes: tuple[str, ...] = ()
    fleet_file: str = ""


def _sums(spent: tuple[Spent, ...], stages: Iterable[Stage]) -> tuple[Spent, ...]:
    sums = {one.stage: one for one in spent}
    for name, seconds in stages:
        before = sums.get(name, Spent(name, 0, 0.0))
        sums[name] = Spent(name, before.times + 1, before.seconds + seconds)
    return tuple(sums.values())
