"""What a run does: look, count, decide; and under the lock: confirm, act, verify."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingDaemon

from ..decision.automation import NOT_CONFIRMED
from ..decision.facts import Action, Decision, Policy, State
from ..decision.situation import Counted
from ..endpoint.confirmation import confirm
from ..endpoint.look import Look
from ..endpoint.site import Site
from ..errors import ChangedMeanwhileError, HandlerError, TooLateError, UncountableError
from ..fleet.values import Fleet
from ..routing.count import Counter
from ..routing.follow import Follower
from ..routing.tally import RouterIds
from ..transport.clock import Deadline
from ..transport.connections import Connections, FreshConnections
from . import draining, stop_file
from .leave import leave
from .lock import FileLocks, Locks
from .outcome import Outcome
from .parts import STALE_SECONDS, Parts
from .pulse import Pulse
from .rehearsal import find_obstacle
from .request import Case, signature
from .restoration import restore
from .router_ids import FileRouterIds
from .withdrawal import withdraw

# A run that looks without the lock takes it before these. Every other action ends the run at once.
TAKE_THE_LOCK = frozenset({Action.CONFIRM, Action.REHEARSE, Action.WITHDRAW, Action.RESTORE})
MOST_LOOKS = 3


class Means(NamedTuple):
    """What a run acts with; a test or a resident process hands in its own.

    Attributes:
        connections: lead to the endpoints.
        locks: the locks of the VIPs on this host.
        router_ids: remembers the router-ids of the endpoints.
        daemons: the routing daemons that may run on an endpoint.
        by: the user and host that sign the notes.
        pulse: notices that this process was stopped.
    """

    connections: Connections
    locks: Locks
    router_ids: RouterIds
    daemons: Sequence[RoutingDaemon]
    by: str
    pulse: Pulse = Pulse()


def act_here(fleet: Fleet, outcome: Outcome, policy: Policy, deadline: Deadline) -> None:
    """Act with the connections, locks and routing daemons of this host; see `act`."""
    connections, state = FreshConnections(fleet.ssh), fleet.paths.state
    locks, router_ids = FileLocks(state, deadline.clock), FileRouterIds(state)
    by = signature(by_hand=outcome.request.verb.by_hand)
    with Pulse().beating() as pulse:
        means = Means(connections, locks, router_ids, DAEMONS, by, pulse)
        act(fleet, outcome, policy, deadline, means)


def act(fleet: Fleet, outcome: Outcome, policy: Policy, deadline: Deadline, means: Means) -> None:
    """Do what the rules say for the outcome's request, and record the result in the outcome.

    The lock of the VIP is taken only after the connection is opened, and by a run that only looks
    not at all, so that no run waits for an endpoint that does not answer or is far away.

    Raises:
        HandlerError: something could not be done; the outcome has the steps so far.
    """
    vip, endpoint = outcome.request.vip, outcome.request.endpoint
    connections = means.connections
    with ExitStack() as stack:
        with outcome.timed("connect"):
            shell = stack.enter_context(connections.open(endpoint, deadline))
        site = Site(
            shell,
            vip,
            fleet.siblings(vip, endpoint),
            dry_run=outcome.request.dry_run,
            clock=deadline.clock,
        )
        counter = Counter(vip, endpoint, connections, means.daemons, means.router_ids, deadline)
        follower = Follower(vip, endpoint, shell, counter, connections, deadline)
        outcome.steps = site.steps
        with means.locks.open(vip.name) as lock:
            parts = Parts(
                outcome, policy, site, lock, counter, follower, means.by, deadline, means.pulse
            )
            stack.enter_context(draining.given_up_by_signal(parts))
            if outcome.request.verb.counts_each_time and _is_left_alone(parts):
                return
            with outcome.timed("wait for the lock"):
                lock.take(deadline)
            _act(parts, fleet.paths.stop)
        # The others need not wait until no client comes any more.
        draining.finish(parts)


def _is_left_alone(parts: Parts) -> bool:
    """Look without the lock; where nothing is to be done, end the run."""
    look, decision = _look_and_decide(parts, holds_lock=False)
    if decision.action in TAKE_THE_LOCK:
        return False
    leave(parts, look, decision)
    return True


def _act(parts: Parts, stop: str) -> None:
    trouble: HandlerError = TooLateError("refused: this run was stopped for too long")
    for _ in range(MOST_LOOKS):
        began = parts.deadline.clock.monotonic()
        look, decision = _look_and_decide(parts)
        if decision.action not in (Action.WITHDRAW, Action.RESTORE):
            if decision.rule == NOT_CONFIRMED and _has_moved(parts, look):
                continue
            leave(parts, look, decision)
            return
        if _was_stopped(parts, began):
            continue
        if not parts.policy.stopped and not parts.request.verb.by_hand and stop_file.is_there(stop):
            parts.policy = parts.policy._replace(stopped=True)
            continue
        try:
            if decision.action is Action.WITHDRAW:
                withdraw(parts, look)
            else:
                restore(parts, look, decision)
        except ChangedMeanwhileError as error:
            trouble = error
        else:
            return
    raise trouble


def _has_moved(parts: Parts, look: Look) -> bool:
    """Whether another host has withdrawn or restored the VIP while the check ran.

    The check has told of the other state then, and says nothing about the one that was decided on.
    """
    try:
        return parts.site.look().present != look.present
    except HandlerError:
        return False


def _was_stopped(parts: Parts, since: float) -> bool:
    """Whether the answers that were decided on may have been given long ago."""
    since_heard = parts.deadline.clock.monotonic() - parts.decided
    return max(since_heard, parts.pulse.longest_pause(since)) > STALE_SECONDS


def _look_and_decide(parts: Parts, *, holds_lock: bool = True) -> tuple[Look, Decision]:
    outcome = parts.outcome
    with outcome.timed("look"):
        look = parts.site.look()
    outcome.looked(look)
    decision = _decide(parts, look, confirms=holds_lock)
    parts.decided = parts.deadline.clock.monotonic()
    outcome.decided(decision)
    return look, decision


def _decide(parts: Parts, look: Look, *, confirms: bool) -> Decision:
    verb = parts.request.verb
    seen = look.seen(_clock_there(parts) if look.needs_clock else 0)
    counted = confirmed = obstacle = None
    if verb.counts_each_time and (look.present or look.latch_age is not None):
        # Counting at each check reports a count that cannot be made long before the night on which
        # it matters. It also finds a withdrawn endpoint that has to come back because too few are
        # left.
        in_peace = parts.request.state is State.OK and look.present and look.latch_age is None
        counted = _count(parts, in_peace=in_peace)
    while True:
        case = Case(parts.request, parts.policy, seen, counted, confirmed, obstacle)
        decision = verb.decide(case)
        if decision.action is Action.COUNT:
            counted = _count(parts)
        elif decision.action is Action.CONFIRM and confirms:
            confirmed = _confirm(parts)
        elif decision.action is Action.REHEARSE:
            obstacle = find_obstacle(parts, look)
        else:
            return decision


def _clock_there(parts: Parts) -> int:
    try:
        return parts.site.clock()
    except HandlerError as error:
        # The run goes on without the endpoint's clock: earlier withdrawals and restores do not
        # count then, and no hold counts as expired.
        parts.outcome.note(str(error))
        return 0


def _confirm(parts: Parts) -> State:
    with parts.outcome.timed("run the endpoint's own check"):
        confirmation = confirm(parts.site)
    parts.outcome.confirmed(confirmation.said)
    parts.ahead, parts.is_slow = confirmation.ahead, confirmation.is_slow
    return confirmation.state


def _count(parts: Parts, *, in_peace: bool = False) -> Counted:
    vip, trouble = parts.vip, ""
    others, name = None, parts.request.endpoint.name
    try:
        with parts.outcome.timed("count the others"):
            under_way = parts.lock.under_way_elsewhere(name)
            others = parts.counter.others(parts.site.shell, under_way, in_peace=in_peace)
        parts.outcome.note(others.trouble)
        for one in others.under_way:
            parts.outcome.note(f"{one} is not counted: it may be withdrawn at this moment")
    except UncountableError as error:
        trouble = str(error)
    age = parts.lock.since_withdrawal_elsewhere(name)
    left = 0.0 if age is None else max(0.0, vip.spacing - age)
    counted = Counted(None, vip.floor, len(vip.endpoints), trouble)
    if others is not None:
        counted = others.counted(vip)
    parts.unseen = counted.gaps if counted.is_assumed else ()
    if counted.is_assumed:
        parts.outcome.note(f"{counted.missing}: {counted.assumed} taken for announcing")
    counted = counted._replace(spacing_left=left)
    parts.outcome.counted(counted)
    return counted
