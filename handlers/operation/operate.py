"""The one path of every verb that acts: connect, lock, look, decide, confirm, act, verify, log."""

from __future__ import annotations

import os

from ..decision.automation import decide
from ..decision.facts import Action, Policy
from ..errors import ConfigurationError, HandlerError
from ..fleet.values import Fleet
from ..transport.deadline import RUN_SECONDS, Deadline
from . import log
from .outcome import Outcome, Request


def operate(fleet: Fleet, request: Request) -> Outcome:
    """Decide, act where a rule says so, verify, and log.

    Never raises HandlerError: what went wrong is in the outcome, with its exit code.
    """
    deadline = Deadline(RUN_SECONDS)
    outcome = Outcome(request)
    try:
        _operate(fleet, outcome, deadline)
    except HandlerError as error:
        outcome.failed(error)
    except BaseException as error:
        # Ended by a signal, or a fault of ours: what was done until then must not be lost.
        if outcome.steps:
            outcome.interrupted(error)
            record(fleet, outcome, deadline)
        raise
    record(fleet, outcome, deadline)
    return outcome


def record(fleet: Fleet, outcome: Outcome, deadline: Deadline) -> None:
    """Put an outcome into the log of decisions and into syslog."""
    entry = {**outcome.entry(), "duration": round(deadline.elapsed, 3)}
    outcome.note(log.write(fleet.paths.log, entry))
    log.to_syslog(
        f"{outcome.request.vip.name} {outcome.request.verb}: {outcome.line}",
        warning=outcome.exit_code != 0 or bool(outcome.steps),
    )


def _operate(fleet: Fleet, outcome: Outcome, deadline: Deadline) -> None:
    request = outcome.request
    policy = _policy(fleet, request)
    if policy.stopped and not request.by_hand:
        outcome.note(f"remove {fleet.paths.stop} to let the automation act")
    if request.verb == "event" and request.state and request.state_type:
        decision = decide(request.state, request.state_type, policy)
        if decision.action is not Action.LOOK:
            outcome.conclude(decision)
            return
    # An engine calls `event` at each change of state, mostly for nothing: what only an act
    # needs is imported only for an act.
    from .act import act

    act(fleet, outcome, policy, deadline)


def _policy(fleet: Fleet, request: Request) -> Policy:
    try:
        os.stat(fleet.paths.stop)
        stopped = True
    except (FileNotFoundError, NotADirectoryError):
        stopped = False
    except OSError as error:
        raise ConfigurationError(
            f"{fleet.paths.stop}: cannot tell whether it exists: {error.strerror}"
        ) from error
    return Policy(
        stopped=stopped,
        never_withdraw=request.endpoint.never_withdraw,
        downtime=request.downtime,
        unwatched=request.unwatched,
        restore=request.vip.restore,
        hold_down=request.vip.hold_down,
        max_restores=request.vip.max_restores,
    )
