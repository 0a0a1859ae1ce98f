"""What a run does while it holds the lock: look, count, decide, confirm, act, verify."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingDaemon

from ..decision.facts import Action, Decision, Policy, State
from ..decision.situation import Counted
from ..endpoint.confirmation import confirm
from ..endpoint.look import Look
from ..endpoint.notes import Notes
from ..endpoint.site import Site
from ..errors import HandlerError, TooLateError, UncountableError
from ..fleet.values import Fleet
from ..routing.count import Counter
from ..routing.follow import Follower
from ..transport.clock import RUN_SECONDS, Deadline
from ..transport.connections import Connections, FreshConnections
from .lock import FileLocks, Locks
from .outcome import Outcome
from .parts import Parts
from .request import Case, signature
from .restoration import restore
from .withdrawal import withdraw

# A slow endpoint needs this time for the note, the act, its fallback and the looks between them.
ACT_SECONDS = 8.0


class Means(NamedTuple):
    """What a run acts with; a test or a resident process hands in its own.

    Attributes:
        connections: lead to the endpoints.
        locks: the locks of the VIPs on this host.
        daemons: the routing daemons that may run on an endpoint.
        by: the user and host that sign the notes.
    """

    connections: Connections
    locks: Locks
    daemons: Sequence[RoutingDaemon]
    by: str


def act_here(fleet: Fleet, outcome: Outcome, policy: Policy, deadline: Deadline) -> None:
    """Act with the connections, locks and routing daemons of this host; see `act`."""
    connections = FreshConnections(fleet.ssh)
    means = Means(connections, FileLocks(fleet.paths.state), DAEMONS, signature())
    act(fleet, outcome, policy, deadline, means)


def act(fleet: Fleet, outcome: Outcome, policy: Policy, deadline: Deadline, means: Means) -> None:
    """Do what the rules say for the outcome's request, and record the result in the outcome.

    The connection is opened before the lock of the VIP is taken, so that other runs do not wait for
    an endpoint that does not answer.

    Raises:
        HandlerError: something could not be done; the outcome has the steps so far.
    """
    vip, endpoint = outcome.request.vip, outcome.request.endpoint
    connections = means.connections
    with ExitStack() as stack:
        with outcome.timed("connect"):
            shell = stack.enter_context(connections.open(endpoint, deadline))
        with outcome.timed("wait for the lock"):
            held = stack.enter_context(means.locks.hold(vip.name, deadline))
        site = Site(
            shell,
            vip,
            fleet.siblings(vip, endpoint),
            dry_run=outcome.request.dry_run,
            clock=deadline.clock,
        )
        counter = Counter(vip, endpoint, connections, means.daemons, deadline)
        follower = Follower(vip, endpoint, shell, counter, connections, deadline)
        notes = Notes(site, means.by)
        outcome.steps = site.steps
        _act(Parts(outcome, policy, site, held, counter, follower, notes, deadline))


def _act(parts: Parts) -> None:
    outcome = parts.outcome
    with outcome.timed("look"):
        look = parts.site.look()
    outcome.looked(look)
    decision = _decide(parts, look)
    outcome.decided(decision)
    if decision.action in (Action.WITHDRAW, Action.RESTORE):
        _require_time(parts.deadline)
    if decision.action is Action.WITHDRAW:
        withdraw(parts, look)
    elif decision.action is Action.RESTORE:
        restore(parts, look, decision)
    else:
        if decision.action is Action.UNLATCH:
            outcome.note(parts.notes.take_latch_off(look))
        _leave(parts, look, decision)


def _require_time(deadline: Deadline) -> None:
    left = deadline.left(RUN_SECONDS)
    if left < ACT_SECONDS:
        raise TooLateError(f"refused: {left:.1f} s are left of this run, too few to act and verify")


def _decide(parts: Parts, look: Look) -> Decision:
    verb = parts.request.verb
    seen = look.seen(_clock_there(parts) if look.needs_clock else 0)
    counted = confirmed = None
    if verb.counts_each_time and (look.present or look.latch_age is not None):
        # Counting at each check reports a count that cannot be made long before the night on which
        # it matters. It also finds a withdrawn endpoint that has to come back because too few are
        # left.
        counted = _count(parts)
    while True:
        decision = verb.decide(Case(parts.request, parts.policy, seen, counted, confirmed))
        if decision.action is Action.COUNT:
            counted = _count(parts)
        elif decision.action is Action.CONFIRM:
            confirmed = _confirm(parts)
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
    parts.ahead = confirmation.ahead
    return confirmation.state


def _count(parts: Parts) -> Counted:
    vip, trouble = parts.vip, ""
    others = own = None
    try:
        with parts.outcome.timed("count the others"):
            others, own = parts.counter.others(parts.site.shell)
    except UncountableError as error:
        trouble = str(error)
    age = parts.held.since_withdrawal_elsewhere(parts.request.endpoint.name)
    left = 0.0 if age is None else max(0.0, vip.spacing - age)
    counted = Counted(others, vip.floor, len(vip.endpoints), trouble, left, own)
    parts.outcome.counted(counted)
    return counted


def _leave(parts: Parts, look: Look, decision: Decision) -> None:
    """End without a withdrawal or a restore; a hold is placed or removed all the same."""
    outcome, verb = parts.outcome, parts.request.verb
    if not parts.request.dry_run and decision.action is not Action.REFUSE:
        if verb.places_hold:
            outcome.note(parts.hold_by_hand())
        elif verb.removes_hold and look.may_be_held:
            outcome.note(parts.notes.remove_hold())
    outcome.conclude(decision)
