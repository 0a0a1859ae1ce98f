"""The latch: what its file says survives, what it cannot say is refused, and how it counts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from anycast_handlers.endpoint.latch import (
    DAY,
    UNREADABLE_HOLD,
    Hold,
    Latch,
    latch_path,
    parse,
    parse_hold,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_700_000_000
LATCH = Latch(1234.56, "boot-1", "nagios@monitor", "no answer", (NOW - 100, NOW), (NOW - 50,))

times = st.lists(st.integers(0, 10**11), max_size=60).map(tuple)
latches = st.builds(
    Latch,
    since=st.none() | st.floats(0, 10**9).map(lambda x: round(x, 2)),
    boot_id=st.text(),
    by=st.text(),
    reason=st.text(),
    withdrawals=times,
    restores=times,
    take_backs=times,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KEYS = ("since", "boot_id", "by", "reason", "withdrawals", "restores", "take_backs")


def put_on(latch: Latch, clock: int = NOW, boot_id: str = "boot-1", uptime: float = 9.0) -> Latch:
    return latch.put_on(uptime=uptime, clock=clock, boot_id=boot_id, by="x@y", reason="why")


def restored(latch: Latch, clock: int, *, automatic: bool = True) -> Latch:
    return latch.restored(clock=clock, boot_id="boot-1", automatic=automatic)


def test_the_file_is_named_after_the_address() -> None:
    assert latch_path("10.99.0.53") == "/var/lib/anycast/10.99.0.53.latch.json"


@given(latches)
def test_what_is_written_is_read_again(latch: Latch) -> None:
    read = parse(latch.render())
    if latch.since is None:
        latch = replace(latch, by="", reason="")
    assert read == latch


@given(latches)
def test_the_file_is_one_line_of_ascii(latch: Latch) -> None:
    assert latch.render().isascii()
    assert latch.render().count("\n") == 1


@given(st.text())
def test_text_that_is_no_latch_is_a_value_error(text: str) -> None:
    accept_or_value_error(text)


@given(values | st.dictionaries(st.sampled_from(KEYS), values))
def test_json_that_is_no_latch_is_a_value_error(document: object) -> None:
    accept_or_value_error(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"since": "1"}',
        '{"since": true}',
        '{"since": NaN}',
        '{"since": Infinity}',
        '{"since": 1e400}',
        '{"withdrawals": 5}',
        '{"withdrawals": {"a": 1}}',
        '{"withdrawals": ["1"]}',
        '{"withdrawals": [NaN]}',
        '{"restores": [null]}',
        '{"take_backs": [-1]}',
        '{"take_backs": 1}',
        '{"since": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"since": 1',
    ],
)
def test_a_broken_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json says what is wrong
        parse(text)


def test_the_trouble_with_a_broken_file_is_one_short_text() -> None:
    with pytest.raises(ValueError, match="not a") as caught:
        parse('{"since": "' + "long" * 10_000 + '"}')
    assert len(str(caught.value)) < 200


def test_keys_of_another_version_are_ignored() -> None:
    assert parse('{"since": 5, "boot_id": "b", "later": {}}') == Latch(5.0, "b")


def test_it_counts_only_in_the_boot_that_wrote_it() -> None:
    assert LATCH.is_on("boot-1", 1234.56)
    assert not LATCH.is_on("boot-2", 1234.56)
    assert not LATCH.is_on("", 1234.56)


def test_it_does_not_count_where_the_uptime_has_started_anew() -> None:
    """A container that was started anew has the boot id of its host."""
    assert not LATCH.is_on("boot-1", 1234.55)
    again = put_on(LATCH, clock=NOW + 90, uptime=9.0)
    assert again.withdrawals == (*LATCH.withdrawals, NOW + 90)


def test_a_latch_that_is_off_is_on_in_no_boot() -> None:
    assert not Latch().is_on("", 9.0)
    assert not LATCH.take_off().is_on("boot-1", 9999.0)


def test_taking_it_off_remembers_how_often() -> None:
    off = LATCH.take_off()
    assert (off.since, off.by, off.reason) == (None, "", "")
    assert off.within_a_day(NOW) == (2, 1)


def test_putting_it_on_counts_one_withdrawal() -> None:
    latch = put_on(Latch())
    assert latch == Latch(9.0, "boot-1", "x@y", "why", (NOW,), ())
    assert put_on(latch.take_off(), NOW + 60).within_a_day(NOW + 60) == (2, 0)


def test_a_withdrawal_that_was_cut_short_is_not_counted_twice() -> None:
    first = put_on(Latch())
    again = put_on(first, clock=NOW + 5, uptime=14.0)
    assert again.withdrawals == (NOW,)
    assert again.since == 14.0


def test_one_that_a_reboot_cut_short_is_another_withdrawal() -> None:
    after = put_on(put_on(Latch()), clock=NOW + 90, boot_id="boot-2")
    assert after.withdrawals == (NOW, NOW + 90)


def test_an_automatic_restore_is_counted_and_takes_the_latch_off() -> None:
    latch = restored(put_on(Latch()), NOW + 60)
    assert not latch.is_on("boot-1", 9999.0)
    assert latch.within_a_day(NOW + 60) == (1, 1)


def test_a_restore_by_hand_does_not_count_against_the_automation() -> None:
    latch = restored(put_on(Latch()), NOW + 60, automatic=False)
    assert latch.within_a_day(NOW + 60) == (1, 0)


HOLD = Hold(NOW, NOW + 60, "x@y", "disk", present=False)


def test_a_hold_is_read_as_it_was_written() -> None:
    assert parse_hold(HOLD.render()) == HOLD
    assert parse_hold(replace(HOLD, until=None).render()).until is None


def test_a_hold_ends_with_its_time_and_not_before() -> None:
    assert not HOLD.has_expired(NOW + 59)
    assert HOLD.has_expired(NOW + 60)
    assert not replace(HOLD, until=None).has_expired(NOW + 10 * DAY)


@pytest.mark.parametrize("set_to", [NOW - 10**8, NOW, NOW + 10**8])
def test_a_clock_that_is_set_does_not_move_the_end_of_a_hold(set_to: int) -> None:
    hold = parse_hold(replace(HOLD, boot_id="boot-1", uptime=100.0).render())
    assert hold.left(clock=set_to, boot_id="boot-1", uptime=130.0) == 30.0
    assert not hold.has_expired(set_to, "boot-1", 159.0)
    assert hold.has_expired(set_to, "boot-1", 160.0)


def test_after_a_reboot_the_clock_ends_a_hold() -> None:
    hold = parse_hold(replace(HOLD, boot_id="boot-1", uptime=100.0).render())
    assert not hold.has_expired(NOW + 59, "boot-2", 5000.0)
    assert hold.has_expired(NOW + 60, "boot-2", 5.0)


@pytest.mark.parametrize("number", ["1e400", "NaN", "-Infinity", "-1", "9" * 400, "[" * 5000])
def test_a_number_without_bounds_is_none(number: str) -> None:
    assert parse_hold(HOLD.render().replace(str(NOW), number)) == UNREADABLE_HOLD
    with pytest.raises(ValueError, match=r"^n|^E"):
        parse(LATCH.render().replace("1234.56", number))


@given(st.text() | values.map(json.dumps))
def test_whatever_a_hold_file_says_it_is_a_hold(text: str) -> None:
    """A hold that cannot be read may be a person's order, so nothing acts on the endpoint."""
    hold = parse_hold(text)
    assert hold == UNREADABLE_HOLD or parse_hold(hold.render()) == hold


def test_what_is_taken_back_is_remembered_for_ten_minutes() -> None:
    latch = put_on(Latch()).taken_back(clock=NOW + 3, boot_id="boot-1")
    assert not latch.is_on("boot-1", 9999.0)
    assert latch.within_a_day(NOW + 3) == (1, 0)
    latch = put_on(latch, clock=NOW + 300).taken_back(clock=NOW + 303, boot_id="boot-1")
    assert [latch.lately_taken_back(NOW + n) for n in (303, 602, 603, 902, 903)] == [2, 2, 1, 1, 0]
    assert latch.lately_taken_back(NOW - DAY) == 0
    later = put_on(latch, clock=NOW + 700)
    assert later.take_backs == (NOW + 303,)


def test_a_day_ends_the_memory() -> None:
    latch = Latch(withdrawals=(NOW - DAY, NOW - DAY + 1, NOW), restores=(NOW - 2 * DAY,))
    assert latch.within_a_day(NOW) == (2, 0)
    assert put_on(latch).withdrawals == (NOW - DAY + 1, NOW, NOW)
    assert put_on(latch).restores == ()


def test_a_clock_that_was_set_back_by_years_does_not_count_for_ever() -> None:
    assert Latch(withdrawals=(NOW + 400 * DAY,)).within_a_day(NOW) == (0, 0)


def test_the_file_does_not_grow_without_end() -> None:
    latch = Latch()
    for second in range(1000):
        latch = restored(put_on(latch.take_off(), clock=NOW + second), NOW + second)
        latch = latch.taken_back(clock=NOW + second, boot_id="boot-1")
    assert len(latch.render()) < 4000
    assert latch.withdrawals[-1] == NOW + 999


def accept_or_value_error(text: str) -> None:
    try:
        latch = parse(text)
    except ValueError:
        return
    assert parse(latch.render()) is not None
    assert latch.within_a_day(NOW) >= (0, 0)
