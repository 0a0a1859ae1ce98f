"""What a person's verbs decide: the same guards, which --force overrides by name."""

from __future__ import annotations

import itertools

import pytest
from anycast_handlers.decision.automation import decide
from anycast_handlers.decision.facts import Action, Policy, State, StateType
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
COUNTED = (None, ENOUGH, BELOW, Counted(None, 2, 5, "no vtysh"), ENOUGH._replace(spacing_left=1.5))
ANNOUNCED_CASES = list(itertools.product(POLICIES, HOLDS, COUNTED))
WITHDRAWN = [
    Seen(present=False, latch_age=age, withdrawals=1, restores=restores, held=hold)
    for age in (None, 0.0, 100.0)
    for restores in (0, 3)
    for hold in HOLDS
]


def test_the_guards_are_those_of_the_automation_and_force_overrides_them_by_name() -> None:
    """The stop file, downtime, the spacing and the check bind the automation alone."""
    for policy, hold, counted in ANNOUNCED_CASES:
        seen = ANNOUNCED._replace(held=hold)
        running = policy._replace(stopped=False)
        automatic = decide(CRITICAL, StateType.HARD, running, seen, counted, CRITICAL)
        plain = decide_withdraw(policy, seen, counted, force=False)
        forced = decide_withdraw(policy, seen, counted, force=True)
        if automatic.action is Action.REFUSE and automatic.rule != "spacing":
            assert (plain.action, plain.rule) == (Action.REFUSE, automatic.rule)
            assert "--force" in plain.reason
            assert forced.action is Action.WITHDRAW
            assert automatic.reason.removeprefix("refused: ") in forced.reason
        elif automatic.action is Action.COUNT:
            assert plain.action is forced.action is Action.COUNT
        else:
            assert plain.action is forced.action is Action.WITHDRAW
            assert "overrid" not in forced.reason


def test_a_drill_overrides_nothing_and_is_for_what_is_healthy() -> None:
    """An expired hold is still a person's order, and only a person removes it."""
    for policy, hold, counted in ANNOUNCED_CASES:
        seen = ANNOUNCED._replace(held=hold)
        plain = decide_withdraw(policy, seen, counted, force=False)
        for confirmed in (None, *State):
            drill = decide_drill(policy, seen, counted, confirmed)
            if plain.action is not Action.WITHDRAW:
                assert drill == plain
            elif hold:
                assert (drill.action, drill.rule) == (Action.REFUSE, "held")
            elif confirmed is None:
                assert drill.action is Action.CONFIRM
            else:
                assert (drill.action is Action.WITHDRAW) == (confirmed is OK)


def test_what_may_be_held_is_not_drilled() -> None:
    seen = ANNOUNCED._replace(hold_unknown=True)
    assert decide_withdraw(NONE, seen, ENOUGH, force=False).action is Action.WITHDRAW
    assert decide_drill(NONE, seen, ENOUGH, OK).action is Action.REFUSE


@pytest.mark.parametrize("seen", WITHDRAWN)
def test_what_is_withdrawn_is_not_withdrawn_again_and_not_drilled(seen: Seen) -> None:
    for force in (False, True):
        assert decide_withdraw(NONE, seen, ENOUGH, force=force).action is Action.NOTHING
    assert decide_drill(NONE, seen, ENOUGH, OK).action is Action.REFUSE


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
