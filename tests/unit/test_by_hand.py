"""What a person's verbs decide: the same guards, which --force overrides by name."""

from __future__ import annotations

import itertools

import pytest
from anycast_handlers.decision.automation import decide
from anycast_handlers.decision.facts import Action, Policy, State, StateType
from anycast_handlers.decision.guards import NOT_ANNOUNCED
from anycast_handlers.decision.person import decide_drill, decide_restore, decide_withdraw
from anycast_handlers.decision.situation import Counted, Held, Seen

OK, CRITICAL = State.OK, State.CRITICAL
ANNOUNCED, NONE = Seen(present=True), Policy()
ENOUGH, BELOW = Counted(2, 2, 5), Counted(1, 2, 5)
HOLDS = (
    None,
    *(Held("anna", "mine", was, over) for was in (True, False) for over in (True, False)),
)
POLICIES = [
    Policy(stopped, never, downtime)
    for stopped in (False, True)
    for never in (False, True)
    for downtime in (False, True)
]
NOBODY, UNKNOWN = Counted(0, 2, 5), Counted(None, 2, 5, "no vtysh")
COUNTED = (None, ENOUGH, BELOW, NOBODY, UNKNOWN, ENOUGH._replace(spacing_left=1.5))
ANNOUNCED_CASES = list(itertools.product(POLICIES, HOLDS, COUNTED))
WITHDRAWN = [
    Seen(present=False, latch_age=age, withdrawals=1, restores=restores, held=hold)
    for age in (None, 0.0, 100.0)
    for restores in (0, 3)
    for hold in HOLDS
]


def test_the_guards_are_those_of_the_automation_and_force_overrides_them_by_name() -> None:
    """The stop file, downtime, take-backs, the spacing and the check bind the automation alone."""
    for policy, hold, counted in ANNOUNCED_CASES:
        seen = ANNOUNCED._replace(held=hold)
        damped = seen._replace(take_backs=5)
        assert decide_withdraw(policy, damped, counted, force=False) == decide_withdraw(
            policy, seen, counted, force=False
        )
        running = policy._replace(stopped=False)
        automatic = decide(CRITICAL, StateType.HARD, running, seen, counted, CRITICAL)
        plain = decide_withdraw(policy, seen, counted, force=False)
        forced = decide_withdraw(policy, seen, counted, force=True)
        if automatic.action is Action.REFUSE and automatic.rule != "spacing":
            assert (plain.action, plain.rule) == (Action.REFUSE, automatic.rule)
            assert "--force" in plain.reason
            if counted is None:  # there may be more guards to name
                assert forced.action is Action.COUNT
                continue
            assert forced.action is Action.WITHDRAW
            assert automatic.reason.removeprefix("refused: ") in forced.reason
            assert automatic.rule in forced.overrides
        elif automatic.action is Action.COUNT:
            assert plain.action is forced.action is Action.COUNT
        else:
            assert plain.action is forced.action is Action.WITHDRAW
            assert "overrid" not in forced.reason
            assert forced.overrides == ()


HELD = ANNOUNCED._replace(held=Held("anna", "mine"))


@pytest.mark.parametrize(
    ("policy", "seen", "counted", "overridden", "said"),
    [
        (Policy(never_withdraw=True), HELD, NOBODY, ("held", "never-withdraw", "floor"), ""),
        (NONE, HELD, ENOUGH, ("held",), ""),
        (NONE, ANNOUNCED, BELOW, ("floor",), ""),
        (NONE, ANNOUNCED, NOBODY, ("floor",), "; no endpoint would announce it"),
        (NONE, HELD, UNKNOWN, ("held", "cannot-count"), "; perhaps no endpoint would announce it"),
        (
            NONE,
            ANNOUNCED,
            NOBODY._replace(gaps=("ns2",)),
            ("floor",),
            "; perhaps no endpoint would announce it",
        ),
    ],
)
def test_force_names_each_guard_that_it_overrides(
    policy: Policy, seen: Seen, counted: Counted, overridden: tuple[str, ...], said: str
) -> None:
    decision = decide_withdraw(policy, seen, counted, force=True)
    assert (decision.action, decision.overrides) == (Action.WITHDRAW, overridden)
    words = {
        "held": "held by anna (mine)",
        "never-withdraw": "never_withdraw is set",
        "floor": f"{counted.others} of 5 would announce it and the floor is 2",
        "cannot-count": "cannot count who else announces it: no vtysh",
    }
    for rule, text in words.items():
        assert (text in decision.reason) == (rule in overridden)
    assert decision.reason.endswith(said)
    assert ("no endpoint" in decision.reason) == (not counted.others)


def test_force_counts_although_a_hold_would_be_reason_enough_to_refuse() -> None:
    assert decide_withdraw(NONE, HELD, None, force=False).action is Action.REFUSE
    assert decide_withdraw(NONE, HELD, None, force=True).action is Action.COUNT


def test_a_drill_overrides_nothing_and_is_for_what_is_healthy() -> None:
    """An expired hold is still a person's order, and only a person removes it."""
    for policy, hold, counted in ANNOUNCED_CASES:
        seen = ANNOUNCED._replace(held=hold)
        plain = decide_withdraw(policy, seen, counted, force=False)
        for confirmed in (None, *State):
            drill = decide_drill(policy, seen, counted, confirmed, "")
            if plain.action is not Action.WITHDRAW:
                # It has no --force, so it does not speak of it.
                assert (drill.action, drill.rule) == (plain.action, plain.rule)
                assert drill.reason == plain.reason.removesuffix(" (--force overrides it)")
            elif hold:
                assert (drill.action, drill.rule) == (Action.REFUSE, "held")
            elif confirmed is None:
                assert drill.action is Action.CONFIRM
            else:
                assert (drill.action is Action.WITHDRAW) == (confirmed is OK)


def test_a_drill_tries_first_what_it_will_need_to_restore() -> None:
    assert decide_drill(NONE, ANNOUNCED, ENOUGH, OK, None).action is Action.REHEARSE
    drill = decide_drill(NONE, ANNOUNCED, ENOUGH, OK, "its check says CRITICAL of 127.0.0.1")
    assert (drill.action, drill.rule) == (Action.REFUSE, "not-restorable")
    assert drill.reason.endswith("it could not be restored: its check says CRITICAL of 127.0.0.1")


def test_a_drill_is_not_for_an_endpoint_that_is_present_and_not_announced() -> None:
    """The restore at its end would be looked for in the routing in vain."""
    silent = ENOUGH._replace(announced=False)
    drill = decide_drill(NONE, ANNOUNCED, silent, None, None)
    assert (drill.action, drill.rule) == (Action.REFUSE, "not-restorable")
    assert drill.reason == f"refused: {NOT_ANNOUNCED}"
    assert decide_withdraw(NONE, ANNOUNCED, silent, force=False).action is Action.WITHDRAW
    unknown = ENOUGH._replace(announced=None)
    assert decide_drill(NONE, ANNOUNCED, unknown, None, None).action is Action.CONFIRM


@pytest.mark.parametrize("misplaced", [True, False])
def test_what_is_on_another_interface_is_not_said_to_be_withdrawn(*, misplaced: bool) -> None:
    """Nothing withdraws it from there, so a person has to take it off, or correct the file."""
    seen = Seen(present=True, elsewhere="eth0", latch_age=5.0, misplaced=misplaced)
    refused = [decide_drill(NONE, seen, ENOUGH, OK, "")]
    if misplaced:
        refused += [decide_withdraw(NONE, seen, ENOUGH, force=force) for force in (True, False)]
    for decision in refused:
        assert (decision.action, decision.rule) == (Action.REFUSE, "elsewhere")
        own = "and not" if misplaced else "as well as"
        assert f"it is on eth0, {own} on its own interface: take it off" in decision.reason
    if misplaced:
        assert decide_restore(seen, OK, force=False).reason.endswith("; it is on eth0 too")


def test_a_latch_that_is_left_over_is_taken_off_whatever_a_person_wants() -> None:
    """What a person takes down later would otherwise be brought back."""
    for seen in (ANNOUNCED._replace(latch_age=5.0), ANNOUNCED._replace(stale_latch=True)):
        assert decide_restore(seen, None, force=False).action is Action.UNLATCH
        assert decide_restore(seen, None, force=False).unlatch
        assert decide_withdraw(NONE, seen, BELOW, force=False).unlatch
        assert decide_drill(NONE, seen, BELOW, OK, "").unlatch
        assert decide_drill(NONE, seen, ENOUGH, OK, "broken").unlatch


def test_what_may_be_held_is_not_drilled() -> None:
    seen = ANNOUNCED._replace(hold_unknown=True)
    assert decide_withdraw(NONE, seen, ENOUGH, force=False).action is Action.WITHDRAW
    assert decide_drill(NONE, seen, ENOUGH, OK, "").action is Action.REFUSE


@pytest.mark.parametrize("seen", WITHDRAWN)
def test_what_is_withdrawn_is_not_withdrawn_again_and_not_drilled(seen: Seen) -> None:
    for force in (False, True):
        assert decide_withdraw(NONE, seen, ENOUGH, force=force).action is Action.NOTHING
    assert decide_drill(NONE, seen, ENOUGH, OK, "").action is Action.REFUSE


def test_what_is_announced_is_not_restored_again() -> None:
    for force in (False, True):
        assert decide_restore(ANNOUNCED, None, force=force).action is Action.NOTHING


@pytest.mark.parametrize("seen", WITHDRAWN)
def test_a_person_restores_what_the_check_confirms_and_nothing_else(seen: Seen) -> None:
    """This is so with a latch of any age and without, and with a hold and without."""
    assert decide_restore(seen, None, force=False).action is Action.CONFIRM
    assert decide_restore(seen, OK, force=False).action is Action.RESTORE
    for said in (State.WARNING, CRITICAL, State.UNKNOWN):
        assert decide_restore(seen, said, force=False).action is Action.REFUSE
        forced = decide_restore(seen, said, force=True)
        assert forced.action is Action.RESTORE
        assert said.name in forced.reason
