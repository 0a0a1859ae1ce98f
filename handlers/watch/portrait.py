"""What the board shows of an endpoint, and of a failover."""

from __future__ import annotations

from ..decision.facts import State
from ..operation.outcome import Outcome
from ..transport.clock import Clock
from .acts import Acted
from .board import EndpointState, Failover, Stage
from .target import Target

# A run does these when clients are well again already.
AFTER = frozenset({"count again"})


def endpoint_state(target: Target, now: float) -> EndpointState:
    """Show an endpoint; of one that is not heard nothing is claimed that may be over."""
    judged, heard = target.judgement, target.evidence.heard
    return EndpointState(
        target.endpoint.name,
        target.endpoint.address,
        judged.state,
        judged.text,
        judged.kind if judged.failing_since is not None else "",
        judged.present,
        None if judged.present is None else judged.present and target.announced,
        target.latched,
        target.held,
        target.since or None,
        target.control[1] if target.control and judged.state is not State.UNKNOWN else "",
        None if heard is None else max(0.0, now - heard),
        target.evidence.taken,
        tuple(target.decisions),
        target.endpoint.site,
    )


def failover(acted: Acted, outcome: Outcome, clock: Clock) -> Failover:
    """Show a withdrawal that has ended, stage by stage."""
    assert acted.certain_since is not None
    now = clock.monotonic()
    before = acted.certain_since - (acted.failing_since or acted.certain_since)
    stages = [Stage("be certain", before), Stage("begin", acted.began - acted.certain_since)]
    stages += [Stage(name, seconds) for name, seconds in outcome.timings if name not in AFTER]
    return Failover(
        acted.target.endpoint.name, clock.time() - (now - acted.certain_since), tuple(stages)
    )
