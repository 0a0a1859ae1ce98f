"""What the board shows of an endpoint, of a look at it, and of a failover."""

from __future__ import annotations

from ..decision.automation import STOPPED
from ..decision.facts import State
from ..endpoint.latch import UNREADABLE_HOLD
from ..endpoint.oddities import oddities
from ..operation.outcome import Outcome
from ..transport.clock import Clock
from .acts import Acted
from .board import EndpointState, Failover, Held, Stage
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
        None if target.looked_at is None else max(0.0, now - target.looked_at),
        target.trouble,
        target.hold_unknown,
    )


def note_look(target: Target, acted: Acted, outcome: Outcome) -> None:
    """Note at a target what a look has shown, or that of an act."""
    count, look = outcome.count, outcome.look
    # A look asks the routing daemon each time, and then knows nothing where that does not answer.
    if count and (acted.is_look or count.announced is not None):
        target.announced = count.announced
    wrong: list[str] = []
    if look is None or (outcome.severity is not State.OK and not _is_stopped(outcome)):
        wrong.append(outcome.line)
    elif look.trouble:
        wrong.append(look.trouble)
    if look:
        target.looked_at = look.heard or acted.began
        # Notes that cannot be read may have a latch.
        is_known = look.latch_age is not None or not look.trouble
        target.latched = look.latch_age is not None if is_known else None
        target.hold_unknown = look.hold_unknown or look.hold == UNREADABLE_HOLD
        hold = None if target.hold_unknown else look.hold
        target.held = Held(hold.by, hold.until, hold.reason) if hold else None
        wrong += oddities(look)
    target.trouble = "; ".join(wrong)


def _is_stopped(outcome: Outcome) -> bool:
    """Whether the stop file is all that is wrong: each look tells of it, of whatever endpoint."""
    rule = outcome.decision.rule if outcome.decision else ""
    return rule == STOPPED and not outcome.request.failing


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
