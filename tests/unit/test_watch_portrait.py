"""What the board says of a look: how old it is, what it has found, and what it could not tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from anycast_handlers.decision.automation import STOPPED
from anycast_handlers.decision.facts import Action, Decision, State
from anycast_handlers.decision.situation import Counted
from anycast_handlers.endpoint.latch import UNREADABLE_HOLD, Hold, Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.errors import UnreachableError
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.acts import LOOK, Acted
from anycast_handlers.watch.portrait import endpoint_state, note_look
from anycast_handlers.watch.target import Target

from anycast_checks.addresses import Addresses, Assigned
from tests.unit.test_watch_response import FLEET, Now

HEARD = 100.0


@pytest.fixture
def target(tmp_path: Path) -> Target:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    fleet = read_fleet(str(file))
    return Target(fleet, fleet.vips[0], fleet.vips[0].endpoints[0])


def look_at(target: Target, interface: str = "lo") -> Look:
    vip, place = target.vip, target.vip.placement
    there = Assigned(interface, vip.address, place.prefix_length, place.label)
    return Look(Addresses((there,)), vip, "boot", 9.0, Latch(), heard=HEARD)


def outcome_of(target: Target, look: Look | None) -> Outcome:
    outcome = Outcome(Request(LOOK, target.vip, target.endpoint, State.OK), Now())
    if look is None:
        outcome.failed(UnreachableError("it does not answer"))
        return outcome
    outcome.looked(look)
    floor, endpoints = target.vip.floor, len(target.vip.endpoints)
    outcome.counted(Counted(1, floor, endpoints, announced=True))
    outcome.conclude(Decision(Action.NOTHING, "announced", "as it should be", State.OK))
    return outcome


def note(target: Target, outcome: Outcome, *, is_look: bool = True) -> None:
    acted = Acted(target, outcome, is_look, HEARD - 1, None, None)
    note_look(target, acted, outcome)


def test_it_says_how_old_the_look_is(target: Target) -> None:
    assert endpoint_state(target, HEARD).look_age is None
    note(target, outcome_of(target, look_at(target)))
    shown = endpoint_state(target, HEARD + 5)
    assert (shown.look_age, shown.latched, shown.trouble) == (5.0, False, "")


def test_a_look_that_fails_makes_nothing_younger_and_is_said(target: Target) -> None:
    note(target, outcome_of(target, look_at(target)))
    note(target, outcome_of(target, None))
    shown = endpoint_state(target, HEARD + 60)
    assert (shown.look_age, shown.trouble) == (60.0, "ns1: it does not answer")
    note(target, outcome_of(target, look_at(target)))
    assert endpoint_state(target, HEARD).trouble == ""


def test_notes_that_cannot_be_read_may_have_a_latch(target: Target) -> None:
    trouble = "the notes cannot be read: denied"
    note(target, outcome_of(target, replace(look_at(target), trouble=trouble)))
    shown = endpoint_state(target, HEARD)
    assert (shown.latched, shown.trouble) == (None, trouble)


def test_a_routing_daemon_that_did_not_answer_leaves_nothing_known(target: Target) -> None:
    note(target, outcome_of(target, look_at(target)))
    assert target.announced is True
    outcome = outcome_of(target, look_at(target))
    outcome.counted(Counted(None, 1, 3, "vtysh does not answer"))
    note(target, outcome)
    assert target.announced is None


def test_a_refused_act_that_did_not_ask_leaves_what_was_known(target: Target) -> None:
    note(target, outcome_of(target, look_at(target)))
    outcome = outcome_of(target, look_at(target))
    outcome.counted(Counted(1, 1, 3))
    note(target, outcome, is_look=False)
    assert target.announced is True


def test_the_stop_file_is_no_trouble_of_an_endpoint(target: Target) -> None:
    outcome = outcome_of(target, look_at(target, "eth0"))
    outcome.conclude(Decision(Action.NOTHING, STOPPED, "the stop file exists", State.WARNING))
    note(target, outcome)
    assert endpoint_state(target, HEARD).trouble.startswith("on eth0, from where")


def test_an_address_elsewhere_is_said(target: Target) -> None:
    note(target, outcome_of(target, look_at(target, "eth0")))
    expected = "on eth0, from where nothing withdraws it: take it off there by hand"
    assert endpoint_state(target, HEARD).trouble == expected


def test_a_hold_that_cannot_be_read_is_not_known(target: Target) -> None:
    for change in ({"hold": UNREADABLE_HOLD}, {"hold_unknown": True}):
        note(target, outcome_of(target, replace(look_at(target), **change)))
        shown = endpoint_state(target, HEARD)
        assert (shown.held, shown.hold_unknown) == (None, True), change
    note(target, outcome_of(target, look_at(target)))
    assert endpoint_state(target, HEARD).hold_unknown is False


def test_a_hold_is_noted_and_forgotten(target: Target) -> None:
    hold = Hold(1_800_000_000, None, "kim@mon", "rack", present=True)
    note(target, outcome_of(target, replace(look_at(target), hold=hold)))
    held = endpoint_state(target, HEARD).held
    assert held
    assert (held.by, held.until, held.reason) == ("kim@mon", None, "rack")
    note(target, outcome_of(target, look_at(target)))
    assert endpoint_state(target, HEARD).held is None
