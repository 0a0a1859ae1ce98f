"""The one path of every verb that acts: decide, act where a rule says so, verify, and log."""

from __future__ import annotations

from collections.abc import Callable

from ..decision.facts import Action, Policy
from ..errors import HandlerError
from ..fleet.values import Fleet
from ..transport.clock import RUN_SECONDS, SYSTEM_CLOCK, Clock, Deadline
from . import common_cause, stop_file
from .log import DecisionLog
from .outcome import Outcome
from .request import Case, Follow, Request, nobody

# Does what the rules say for an outcome's request, and records the result in the outcome.
Act = Callable[[Fleet, Outcome, Policy, Deadline], None]


class Host:
    """What a run needs of the monitoring host; a test or a resident process hands in its own."""

    def __init__(self, clock: Clock, log: DecisionLog, act: Act, follow: Follow = nobody) -> None:
        self.follow = follow
        self.clock = clock
        self.log = log
        self.act = act


def this_host(fleet: Fleet, follow: Follow = nobody) -> Host:
    """Make the Host for the machine on which this runs; ``follow`` is told each step."""
    return Host(SYSTEM_CLOCK, DecisionLog(fleet.paths.log, SYSTEM_CLOCK), _act, follow)


def operate(fleet: Fleet, request: Request, host: Host) -> Outcome:
    """Decide, act where a rule says so, verify, and log.

    It never raises HandlerError: what went wrong is in the outcome, with its exit code.
    """
    deadline = Deadline(host.clock, RUN_SECONDS)
    outcome = Outcome(request, host.clock, host.follow)
    try:
        _operate(fleet, outcome, deadline, host.act)
    except HandlerError as error:
        outcome.failed(error)
    except BaseException as error:
        # A signal, or a fault of this program, ends the run; the record of what it did until then
        # must not be lost.
        if outcome.steps:
            outcome.interrupted(error)
            record(host.log, outcome, deadline)
        raise
    record(host.log, outcome, deadline)
    return outcome


def record(log: DecisionLog, outcome: Outcome, deadline: Deadline) -> None:
    """Put an outcome into the log of decisions and into syslog."""
    entry = {**outcome.entry(), "duration": round(deadline.elapsed, 3)}
    outcome.note(log.write(entry))
    request = outcome.request
    log.tell_syslog(
        f"{request.vip.name} {request.verb.name}: {outcome.line}",
        warning=outcome.exit_code != 0 or bool(outcome.steps),
    )


def _operate(fleet: Fleet, outcome: Outcome, deadline: Deadline, act: Act) -> None:
    request = outcome.request
    policy = _policy(fleet, request, deadline.clock.time())
    if policy.stopped and not request.verb.by_hand:
        said = stop_file.said(fleet.paths.stop)
        # An engine cuts a long line, of which the reason of the stop is the end.
        outcome.note(f"{stop_file.ending(said)} ({said or stop_file.SILENT})")
    if request.verb.decides_unseen:
        decision = request.verb.decide(Case(request, policy))
        if decision.action is not Action.LOOK:
            outcome.conclude(decision)
            return
    act(fleet, outcome, policy, deadline)


def _act(fleet: Fleet, outcome: Outcome, policy: Policy, deadline: Deadline) -> None:
    # An engine calls `event` at each change of state, and mostly there is nothing to do. So the
    # modules that an act needs are imported only for an act.
    from .act import act_here

    act_here(fleet, outcome, policy, deadline)


def _policy(fleet: Fleet, request: Request, now: float) -> Policy:
    vip, endpoint = request.vip, request.endpoint
    return Policy(
        stopped=stop_file.is_there(fleet.paths.stop),
        never_withdraw=endpoint.never_withdraw,
        downtime=request.downtime,
        unwatched=request.unwatched,
        restore=vip.restore,
        hold_down=vip.hold_down,
        max_restores=vip.max_restores,
        common_cause=common_cause.noted(fleet, vip, endpoint, now) if request.failing else None,
    )
