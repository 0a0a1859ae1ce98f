"""The decision: its table row by row, and what must hold for every input there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from anycast_handlers.decision.automation import decide, hold_down
from anycast_handlers.decision.facts import Action, CommonCause, Decision, Policy, State, StateType
from anycast_handlers.decision.situation import Counted, Held, Seen

QUESTIONS = (Action.LOOK, Action.COUNT, Action.CONFIRM, Action.REHEARSE)
OK, WARNING, CRITICAL, UNKNOWN = State.OK, State.WARNING, State.CRITICAL, State.UNKNOWN
HARD, SOFT = StateType.HARD, StateType.SOFT
ANNOUNCED, WITHDRAWN = Seen(present=True), Seen(present=False, latch_age=100.0, withdrawals=1)
ENOUGH, AT_FLOOR = Counted(3, 2, 5), Counted(2, 2, 5)
BELOW, UNCOUNTED = Counted(1, 2, 5), Counted(None, 2, 5, "there is no vtysh")
SPACED = Counted(3, 2, 5, "", 1.5)

GAPS, UNDER_WAY = BELOW._replace(gaps=("ns4",)), BELOW._replace(under_way="ns4")

# The ages stand around 30 s, at which the time of a race ends, and around 60 s and 120 s, at which
# the first and the second hold-down end.
AGES = ((None, 1), (29.9, 1), (30.0, 1), (59.9, 1), (60.0, 1), (119.9, 2), (120.0, 2))
HOLDS = (None, *(Held("anna", "", was, over) for was in (True, False) for over in (True, False)))
ORDERS = ((None, True), *((hold, False) for hold in HOLDS))
SEEN = (
    None,
    *(
        Seen(announced, age, withdrawals, restores, hold, hold_unknown=unknown)
        for announced in (True, False)
        for age, withdrawals in AGES
        for restores in (2, 3)
        for hold, unknown in ORDERS
    ),
    *(
        Seen(announced, age, 1, 2, held=hold, take_backs=take_backs)
        for announced in (True, False)
        for age in (None, 0.0, 60.0)
        for hold in HOLDS[::2]
        for take_backs in (1, 2)
    ),
    *(
        Seen(True, age, 1, 2, held=hold, elsewhere="eth0", misplaced=misplaced)  # noqa: FBT003
        for misplaced in (True, False)
        for age in (None, 0.0, 60.0)
        for hold in HOLDS[::2]
    ),
    *(Seen(announced, stale_latch=True) for announced in (True, False)),
)
POLICIES = tuple(
    Policy(stopped, never, downtime, restore, unwatched=unwatched)
    for stopped in (False, True)
    for never in (False, True)
    for downtime in (False, True)
    for restore in ("auto", "manual")
    for unwatched in ("", "never checked")
)
COUNTED = (
    *(None, ENOUGH, AT_FLOOR, BELOW, GAPS, UNDER_WAY, UNCOUNTED, SPACED),
    UNCOUNTED._replace(spacing_left=1.5),
)
CONFIRMED = (None, *State)


class Case(NamedTuple):
    """One combination of the inputs, and the decision on it."""

    state: State
    state_type: StateType
    policy: Policy
    seen: Seen | None
    counted: Counted | None
    confirmed: State | None
    decision: Decision

    @property
    def failed(self) -> bool:
        return self.state is CRITICAL and self.state_type is HARD

    @property
    def protected(self) -> bool:
        """Tell whether a person has ordered the endpoint to stay announced."""
        hold = self.seen.held if self.seen else None
        return hold is not None and hold.present and not hold.expired

    @property
    def races(self) -> bool:
        """Tell whether a withdrawal of just now has left too few others, as far as is known."""
        return (
            self.state in (OK, WARNING)
            and self.seen is not None
            and self.seen.latch_age is not None
            and self.seen.latch_age < 30
            and self.counted is BELOW
        )


def cases() -> Iterator[Case]:
    """Decide on every combination of the inputs above."""
    every = itertools.product(State, StateType, POLICIES, SEEN, COUNTED, CONFIRMED)
    for inputs in every:
        yield Case(*inputs, decide(*inputs))


def acts(case: Case) -> None:
    """No act comes without a look or under the stop file, no withdrawal without confirmation."""
    action = case.decision.action
    if action not in (Action.WITHDRAW, Action.RESTORE):
        return
    assert case.seen is not None
    assert not case.policy.stopped
    if action is Action.WITHDRAW:
        assert case.confirmed is CRITICAL
        assert case.failed
        assert case.seen.present
        assert not case.seen.misplaced
        assert not case.policy.never_withdraw
        assert not case.protected
        assert case.counted is not None
        assert case.counted.others is not None
        assert case.counted.others >= case.counted.floor
        assert case.counted.spacing_left == 0
        assert case.seen.take_backs < 2


def restores(case: Case) -> None:
    """Only what the suite withdrew is restored, never against a hold; a recovery only if due."""
    seen, policy = case.seen, case.policy
    if case.decision.action is not Action.RESTORE:
        return
    assert seen is not None
    assert not seen.present
    assert seen.latch_age is not None
    assert seen.held is None
    assert not seen.hold_unknown
    assert not policy.downtime
    if case.decision.rule == "too-few":
        assert case.races
    else:
        assert case.state is OK
        assert case.confirmed is OK
        assert policy.restore == "auto"
        assert seen.restores < 3
        assert seen.latch_age >= {1: 60, 2: 120}[seen.withdrawals]


def idles(case: Case) -> None:
    """A state other than CRITICAL HARD and OK acts only where too few are left after a race."""
    action = case.decision.action
    if not case.failed and case.state is not OK:
        assert action not in (Action.WITHDRAW, *QUESTIONS)
        if action is Action.RESTORE:
            assert case.races
        if case.seen is None:
            assert action is Action.NOTHING


def must_withdraw(case: Case) -> None:
    """A broken endpoint that is confirmed, not needed and not protected is withdrawn."""
    if (
        case.failed
        and case.seen is not None
        and case.seen.present
        and not case.seen.misplaced
        and case.confirmed is CRITICAL
        and case.counted in (ENOUGH, AT_FLOOR)
        and not case.protected
        and not case.policy.stopped
        and not case.policy.never_withdraw
        and case.seen.take_backs < 2
    ):
        assert case.decision.action is Action.WITHDRAW


def must_restore(case: Case) -> None:
    """An endpoint that the suite withdrew is restored when it may be, or where too few are left."""
    seen, policy = case.seen, case.policy
    if (
        seen is None
        or seen.present
        or seen.held
        or seen.hold_unknown
        or seen.latch_age is None
        or policy.stopped
        or policy.downtime
    ):
        return
    if case.races:
        assert (case.decision.action, case.decision.severity) == (Action.RESTORE, CRITICAL)
        return
    in_time = seen.latch_age >= {1: 60, 2: 120}[seen.withdrawals]
    if case.state is OK and case.confirmed is OK and in_time and seen.restores < 3:
        expected = Action.RESTORE if policy.restore == "auto" else Action.NOTHING
        assert case.decision.action is expected


def severities(case: Case) -> None:
    """A refusal to withdraw is CRITICAL; one that the check does not confirm is WARNING."""
    action, rule = case.decision.action, case.decision.rule
    if action is Action.REFUSE:
        confirmed = case.failed and rule != "not-confirmed"
        assert case.decision.severity is (CRITICAL if confirmed else WARNING)
        assert case.decision.reason.startswith(("refused: ", "not confirmed: ", "not yet: "))
    elif case.decision.severity is CRITICAL:
        assert rule == "too-few"
    idle = action in (Action.NOTHING, Action.UNLATCH)
    if case.failed and case.seen and case.seen.present and idle:
        raise AssertionError("broken, announced, left alone, and nobody is told")
    if case.seen and not case.seen.present and action is Action.NOTHING:
        assert case.decision.severity is WARNING


def twice(case: Case) -> None:
    """After an act the same request does not act again."""
    if case.decision.action is Action.WITHDRAW:
        # The recount has found that enough are left.
        after, counted = Seen(present=False, latch_age=0.0, withdrawals=1), case.counted
    elif case.decision.action is Action.RESTORE:
        after, counted = Seen(present=True, withdrawals=1, restores=3), case.counted
        assert not case.failed
    else:
        return
    again = decide(case.state, case.state_type, case.policy, after, counted, case.confirmed)
    assert again.action in (Action.NOTHING, Action.REFUSE)


def asks(case: Case) -> None:
    """Nothing is asked for that is known already, or that cannot lead to an act."""
    action = case.decision.action
    if action is Action.LOOK:
        assert case.seen is None
    if action is Action.COUNT:
        assert case.counted is None
        inputs = (case.state, case.state_type, case.policy, case.seen)
        assert decide(*inputs, ENOUGH, CRITICAL).action is Action.WITHDRAW
    if action is Action.CONFIRM:
        assert case.confirmed is None
        sure = CRITICAL if case.failed else OK
        inputs = (case.state, case.state_type, case.policy, case.seen)
        assert decide(*inputs, case.counted, sure).action in (Action.WITHDRAW, Action.RESTORE)


def unlatches(case: Case) -> None:
    """A latch is taken off where the VIP is in place, in every state, unless withdrawn now."""
    seen, action = case.seen, case.decision.action
    latched = seen and (seen.latch_age is not None or seen.stale_latch)
    in_place = seen and seen.present and not seen.misplaced
    if latched and in_place and not case.policy.stopped:
        assert action is not Action.NOTHING
        assert case.decision.unlatch == (action in (Action.UNLATCH, Action.REFUSE))
    else:
        assert action is not Action.UNLATCH
        assert not case.decision.unlatch


def speaks(case: Case) -> None:
    """Every reason is one short line."""
    reason = case.decision.reason
    assert reason.isprintable()
    assert reason.isascii()
    assert 0 < len(reason) < 120
    assert "|" not in reason


INVARIANTS = (
    acts,
    restores,
    idles,
    must_withdraw,
    must_restore,
    severities,
    twice,
    asks,
    unlatches,
    speaks,
)


def test_every_combination_of_the_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    """All of the functions above hold for all of the inputs above."""
    number = 0
    for case in cases():
        number += 1
        try:
            for invariant in INVARIANTS:
                invariant(case)
        except AssertionError as error:
            raise AssertionError(f"{invariant.__name__}: {case}") from error
    with capsys.disabled():
        print(f"\n{number} combinations, {len(INVARIANTS)} invariants each")
    assert number > 600_000


def held(*, announced: bool = True, expired: bool = False) -> Held:
    return Held("anna", "mine", announced, expired)


NONE, MANUAL, BLIND = Policy(), Policy(restore="manual"), Policy(unwatched="never checked")
FRESH, RACED = WITHDRAWN._replace(latch_age=12.0), WITHDRAWN._replace(latch_age=30.0)
MISPLACED = FRESH._replace(present=True, elsewhere="eth0", misplaced=True)
IN, OUT = held(), held(announced=False)
# The rows of the documented table in their order: the inputs, the rule, and `enforce`'s state. The
# inputs of a row fit later rows too, as far as they can, so that the order of the rules is tested.
ROWS = {
    "stopped": (CRITICAL, Policy(stopped=True), ANNOUNCED, ENOUGH, CRITICAL, "stopped", CRITICAL),
    "stopped, OK": (OK, Policy(stopped=True), WITHDRAWN, BELOW, OK, "stopped", WARNING),
    "too few are left": (WARNING, MANUAL, FRESH, BELOW, None, "too-few", CRITICAL),
    "too few are left, and it is well": (OK, MANUAL, FRESH, BELOW, None, "too-few", CRITICAL),
    "too few, restored for the last time": (
        OK,
        NONE,
        FRESH._replace(restores=3),
        BELOW,
        OK,
        "too-few",
        CRITICAL,
    ),
    "too few, but failed": (CRITICAL, NONE, FRESH, BELOW, None, "already-withdrawn", WARNING),
    "too few, but unknown": (UNKNOWN, NONE, FRESH, BELOW, OK, "not-actionable", WARNING),
    "too few, 30 s ago": (WARNING, NONE, RACED, BELOW, OK, "not-actionable", WARNING),
    "too few, 30 s ago, and it is well": (OK, NONE, RACED, BELOW, OK, "hold-down", WARNING),
    "too few, but one was not asked": (WARNING, NONE, FRESH, GAPS, OK, "not-actionable", WARNING),
    "too few, but one may be withdrawn now": (
        WARNING,
        NONE,
        FRESH,
        UNDER_WAY,
        OK,
        "not-actionable",
        WARNING,
    ),
    "too few, but held": (OK, NONE, FRESH._replace(held=OUT), BELOW, OK, "held", WARNING),
    "too few, in downtime": (OK, Policy(downtime=True), FRESH, BELOW, OK, "downtime", WARNING),
    "too few, not ours": (OK, NONE, Seen(present=False), BELOW, OK, "not-ours", WARNING),
    "on another interface": (OK, NONE, MISPLACED, BELOW, OK, "elsewhere", WARNING),
    "on another interface, and ill": (WARNING, NONE, MISPLACED, BELOW, OK, "elsewhere", WARNING),
    "on another interface, unknown": (UNKNOWN, NONE, MISPLACED, BELOW, OK, "elsewhere", WARNING),
    "on another interface too": (
        OK,
        NONE,
        ANNOUNCED._replace(elsewhere="eth0"),
        UNCOUNTED,
        OK,
        "announced",
        WARNING,
    ),
    "warning": (WARNING, NONE, WITHDRAWN, ENOUGH, OK, "not-actionable", WARNING),
    "unknown": (UNKNOWN, NONE, ANNOUNCED, ENOUGH, CRITICAL, "not-actionable", OK),
    "unwatched": (UNKNOWN, BLIND, ANNOUNCED, ENOUGH, CRITICAL, "not-actionable", WARNING),
    "unwatched, OK": (OK, BLIND, ANNOUNCED, ENOUGH, CRITICAL, "announced", WARNING),
    "withdrawn": (
        CRITICAL,
        Policy(never_withdraw=True),
        WITHDRAWN._replace(held=IN),
        ENOUGH,
        CRITICAL,
        "already-withdrawn",
        WARNING,
    ),
    "withdrawn from lo, and on another interface": (
        CRITICAL,
        NONE,
        MISPLACED,
        ENOUGH,
        CRITICAL,
        "elsewhere",
        CRITICAL,
    ),
    "held": (
        CRITICAL,
        Policy(never_withdraw=True),
        ANNOUNCED._replace(held=IN),
        UNCOUNTED,
        CRITICAL,
        "held",
        CRITICAL,
    ),
    "never_withdraw": (
        CRITICAL,
        Policy(never_withdraw=True),
        ANNOUNCED,
        UNCOUNTED,
        CRITICAL,
        "never-withdraw",
        CRITICAL,
    ),
    "cannot count": (CRITICAL, NONE, ANNOUNCED, COUNTED[-1], CRITICAL, "cannot-count", CRITICAL),
    "floor": (
        CRITICAL,
        NONE,
        ANNOUNCED,
        BELOW._replace(spacing_left=1.5),
        CRITICAL,
        "floor",
        CRITICAL,
    ),
    "taken back twice": (
        CRITICAL,
        NONE,
        ANNOUNCED._replace(take_backs=2),
        UNCOUNTED,
        CRITICAL,
        "take-backs",
        CRITICAL,
    ),
    "together with most others": (
        CRITICAL,
        Policy(common_cause=CommonCause("2 of 3 fail", 0.0, 42.0)),
        ANNOUNCED,
        UNCOUNTED,
        CRITICAL,
        "common-cause",
        CRITICAL,
    ),
    "spacing": (CRITICAL, NONE, ANNOUNCED, SPACED, OK, "spacing", CRITICAL),
    "says OK now": (CRITICAL, NONE, ANNOUNCED, ENOUGH, OK, "not-confirmed", WARNING),
    "says UNKNOWN now": (CRITICAL, NONE, ANNOUNCED, ENOUGH, UNKNOWN, "not-confirmed", WARNING),
    "withdraw": (CRITICAL, NONE, ANNOUNCED, ENOUGH, CRITICAL, "withdraw", WARNING),
    "at the floor": (CRITICAL, NONE, ANNOUNCED, AT_FLOOR, CRITICAL, "withdraw", WARNING),
    "held withdrawn, announced again": (
        CRITICAL,
        NONE,
        ANNOUNCED._replace(held=OUT),
        ENOUGH,
        CRITICAL,
        "withdraw",
        WARNING,
    ),
    "an expired hold": (
        CRITICAL,
        NONE,
        ANNOUNCED._replace(held=held(expired=True)),
        ENOUGH,
        CRITICAL,
        "withdraw",
        WARNING,
    ),
    "announced": (OK, Policy(downtime=True), ANNOUNCED, BELOW, OK, "announced", OK),
    "announced, cannot count": (OK, NONE, ANNOUNCED, UNCOUNTED, OK, "announced", WARNING),
    "announced, held": (OK, NONE, ANNOUNCED._replace(held=IN), ENOUGH, OK, "held", OK),
    "announced, what may be a hold": (
        OK,
        NONE,
        ANNOUNCED._replace(held=IN._replace(unreadable=True)),
        ENOUGH,
        OK,
        "held",
        WARNING,
    ),
    "announced, cannot tell whether it is held": (
        OK,
        NONE,
        ANNOUNCED._replace(hold_unknown=True),
        ENOUGH,
        OK,
        "held",
        WARNING,
    ),
    "withdrawn, cannot tell whether it is held": (
        OK,
        NONE,
        WITHDRAWN._replace(hold_unknown=True),
        BELOW,
        OK,
        "held",
        WARNING,
    ),
    "failed, cannot tell whether it is held": (
        CRITICAL,
        NONE,
        ANNOUNCED._replace(hold_unknown=True),
        ENOUGH,
        CRITICAL,
        "withdraw",
        WARNING,
    ),
    "withdrawn and ill, cannot tell whether it is held": (
        WARNING,
        NONE,
        Seen(present=False, hold_unknown=True),
        None,
        OK,
        "not-actionable",
        WARNING,
    ),
    "announced, held withdrawn": (
        OK,
        NONE,
        ANNOUNCED._replace(held=OUT),
        None,
        OK,
        "held",
        WARNING,
    ),
    "announced, the hold has expired": (
        OK,
        NONE,
        ANNOUNCED._replace(held=held(expired=True)),
        ENOUGH,
        OK,
        "held",
        WARNING,
    ),
    "withdrawn, held": (
        OK,
        Policy(downtime=True),
        WITHDRAWN._replace(held=OUT),
        None,
        OK,
        "held",
        WARNING,
    ),
    "withdrawn, the hold has expired": (
        OK,
        NONE,
        WITHDRAWN._replace(held=held(announced=False, expired=True)),
        None,
        OK,
        "held",
        WARNING,
    ),
    "downtime": (
        OK,
        Policy(downtime=True),
        Seen(present=False),
        None,
        OK,
        "downtime",
        WARNING,
    ),
    "not ours": (OK, MANUAL, Seen(present=False), None, OK, "not-ours", WARNING),
    "manual": (OK, MANUAL, FRESH._replace(restores=3), None, OK, "manual", WARNING),
    "max_restores": (OK, NONE, FRESH._replace(restores=3), None, OK, "max-restores", WARNING),
    "hold-down": (OK, NONE, FRESH, None, CRITICAL, "hold-down", WARNING),
    "still failing": (OK, NONE, WITHDRAWN, None, CRITICAL, "not-confirmed", WARNING),
    "restore": (OK, NONE, WITHDRAWN, ENOUGH, OK, "restore", OK),
}
Row = tuple[State, Policy, Seen, Counted | None, State | None, str, State]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row(row: Row) -> None:
    state, policy, seen, counted, confirmed, rule, severity = row
    decision = decide(state, HARD, policy, seen, counted, confirmed)
    assert (decision.rule, decision.severity) == (rule, severity)


@pytest.mark.parametrize("state", [OK, WARNING, UNKNOWN])
@pytest.mark.parametrize(("announced", "severity"), [(True, OK), (None, OK), (False, WARNING)])
def test_present_without_an_announcement_is_a_warning(
    state: State, *, announced: bool | None, severity: State
) -> None:
    decision = decide(state, HARD, NONE, ANNOUNCED, ENOUGH._replace(announced=announced))
    assert (decision.action, decision.severity) == (Action.NOTHING, severity), decision.reason
    assert ("does not announce it" in decision.reason) is (severity is WARNING), decision.reason


@pytest.mark.parametrize("state", [OK, WARNING, UNKNOWN])
def test_a_count_with_too_many_gaps_is_a_warning_by_day(state: State) -> None:
    """At night it would be a refusal."""
    few = decide(state, HARD, NONE, ANNOUNCED, GAPS)
    assert (few.action, few.severity) == (Action.NOTHING, WARNING)
    assert few.reason == "nothing could be withdrawn: ns4 could not be asked"
    for counted in (BELOW, ENOUGH._replace(gaps=("ns4",))):
        assert decide(state, HARD, NONE, ANNOUNCED, counted).severity is OK


def test_soft_is_not_acted_on_unless_it_is_ok() -> None:
    assert decide(CRITICAL, SOFT, NONE, ANNOUNCED, ENOUGH, CRITICAL).action is Action.NOTHING
    assert decide(OK, SOFT, NONE, WITHDRAWN, None, OK).action is Action.RESTORE


def test_a_refusal_shows_its_arithmetic() -> None:
    decision = decide(CRITICAL, HARD, NONE, ANNOUNCED, Counted(1, 2, 3), CRITICAL)
    assert decision.reason == "refused: 1 of 3 would announce it and the floor is 2"


def test_the_hold_down_says_how_long_it_takes_still() -> None:
    assert decide(OK, HARD, NONE, FRESH).reason == "restores in 48 s"


@pytest.mark.parametrize(
    ("configured", "withdrawals", "seconds"),
    [
        (60, 0, 60),
        (60, 1, 60),
        (60, 2, 120),
        (60, 3, 240),
        (60, 6, 1920),
        (60, 7, 3600),
        (60, 10**6, 3600),
        (0, 50, 0),
        (7200, 1, 7200),
        (7200, 5, 7200),
        (1e308, 50, 1e308),
    ],
)
def test_the_hold_down_doubles_up_to_an_hour(
    configured: float, withdrawals: int, seconds: float
) -> None:
    assert hold_down(Policy(hold_down=configured), withdrawals) == seconds


def test_a_hold_down_of_nothing_restores_at_once() -> None:
    seen = Seen(present=False, latch_age=0.0, withdrawals=3)
    assert decide(OK, HARD, Policy(hold_down=0), seen, None, OK).action is Action.RESTORE


@pytest.mark.parametrize("state", [WARNING, UNKNOWN])
def test_where_the_notes_cannot_be_seen_nobody_is_said_to_have_withdrawn_it(state: State) -> None:
    """The latch cannot be seen either, and "restore by hand" would be bad advice."""
    hidden = Seen(present=False, hold_unknown=True)
    refused = Seen(present=False, held=IN._replace(unreadable=True))
    assert decide(state, HARD, NONE, hidden).reason == "cannot tell whether it is held"
    assert decide(state, HARD, NONE, refused).reason == "held by anna (mine)"
    assert decide(state, HARD, NONE, WITHDRAWN).reason.startswith("waits for the service")
