"""The verdict on samples: every row of the table of states, and a status line that is safe."""

import re

import nagiosplugin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.line import clean
from anycast_checks.observation import Grade, Metric, Observation, Sample
from anycast_checks.options import HealthOptions
from anycast_checks.verdict import Verdict, checked_range, judge

VIP = "192.0.2.53"
RIGHT = Observation(Grade.RIGHT, "all fine", 0.1)
POOR = Observation(Grade.POOR, "5 days left", 0.1)
WRONG = Observation(Grade.WRONG, "connection refused")
SILENT = Observation(Grade.SILENT, "no answer within 2 s")


def options(**changes: object) -> HealthOptions:
    values: dict[str, object] = {
        "address": VIP, "deadline": 10.0, "verbose": 0, "instance": "loopback", "port": 53,
        "timeout": 2.0, "tries": 3, "retry_delay": 0.25, "warning": None, "critical": None,
        "timeout_state": "critical", "client": False,
    }  # fmt: skip
    return HealthOptions(**(values | changes))  # type: ignore[arg-type]


def at_vip(*seen: Observation) -> tuple[Sample, ...]:
    return tuple(Sample(VIP, present=True, observation=one) for one in seen)


def at_instance(*seen: Observation | None) -> tuple[Sample, ...]:
    return tuple(Sample("127.0.0.1", present=False, observation=one) for one in seen)


def as_client(*seen: Observation) -> tuple[Sample, ...]:
    return tuple(Sample(VIP, present=None, observation=one) for one in seen)


@pytest.mark.parametrize(
    ("changes", "samples", "state", "words"),
    [
        ({}, at_vip(RIGHT), "OK", "192.0.2.53 announced: all fine in 100.0 ms"),
        ({}, at_vip(WRONG, RIGHT), "OK", "(try 2 of 3)"),
        ({"warning": "0.05"}, at_vip(RIGHT), "WARNING", "announced, slower than 0.05 s: all fine"),
        ({"critical": "0.05"}, at_vip(*3 * [RIGHT]), "CRITICAL", "still announced: slower than"),
        ({}, at_vip(*3 * [WRONG]), "CRITICAL", "still announced: connection refused (3 of 3 tries"),
        ({}, at_vip(*3 * [SILENT]), "CRITICAL", "still announced: no answer within 2 s (3 of 3"),
        ({"timeout_state": "unknown"}, at_vip(*3 * [SILENT]), "UNKNOWN", "cannot tell: no answer"),
        ({"timeout_state": "unknown"}, at_vip(WRONG, SILENT, WRONG), "UNKNOWN", "cannot tell"),
        ({"timeout_state": "unknown"}, at_vip(*3 * [WRONG]), "CRITICAL", "still announced"),
        ({}, at_instance(WRONG), "WARNING", "withdrawn, instance still failing: 127.0.0.1: conn"),
        ({"warning": "0.05"}, at_instance(RIGHT), "WARNING", "withdrawn, instance still failing"),
        ({"critical": "0.05"}, at_instance(RIGHT), "WARNING", "withdrawn, instance still failing"),
        ({"timeout_state": "unknown"}, at_instance(SILENT), "WARNING", "instance still failing"),
        ({}, at_instance(None), "WARNING", "withdrawn, instance cannot be tested: restore by hand"),
        ({}, at_instance(RIGHT), "OK", "healthy, withdrawn: 127.0.0.1: all fine"),
        ({}, at_vip(POOR), "WARNING", "192.0.2.53 announced, 5 days left in 100.0 ms"),
        ({"critical": "0.05"}, at_vip(*3 * [POOR]), "CRITICAL", "still announced: slower than"),
        ({}, at_instance(POOR), "WARNING", "withdrawn, instance still failing: 127.0.0.1: 5 days"),
        ({"client": True}, as_client(RIGHT), "OK", "192.0.2.53: all fine"),
        ({"client": True}, as_client(*3 * [WRONG]), "CRITICAL", "192.0.2.53: connection refused"),
        # The VIP goes or comes during the tries. The last proof counts, but is never CRITICAL.
        ({}, (*at_vip(WRONG, WRONG), *at_instance(WRONG)), "WARNING", "instance still failing"),
        ({}, (*at_vip(WRONG, WRONG), *at_instance(RIGHT)), "OK", "healthy, withdrawn"),
        ({}, (*at_vip(WRONG), *at_instance(None)), "WARNING", "cannot be tested"),
        ({}, (*at_instance(WRONG, WRONG), *at_vip(WRONG)), "UNKNOWN", "only during the test"),
        ({}, (*at_instance(WRONG, WRONG), *at_vip(RIGHT)), "OK", "announced: all fine"),
    ],
)
def test_table_of_states(
    changes: dict[str, object], samples: tuple[Sample, ...], state: str, words: str
) -> None:
    verdict = judge(options(**changes), samples)
    line = verdict.render("DNS", 0)

    assert line.startswith(f"DNS {state} - ")
    assert words in line
    assert re.search(r" \| time=\S+ present=[01U]\n$", line)


def test_perfdata_carries_thresholds_as_typed() -> None:
    """By itself nagiosplugin would print the range 0: as nothing, and 1e-05 with an exponent."""
    quick = Observation(Grade.RIGHT, "ok", 0.00001)
    verdict = judge(options(warning="0:", critical="@5:6", timeout=0.5), at_vip(quick))

    assert verdict.perfdata == "time=0.000010s;0:;@5:6;0;0.5 present=1"


@pytest.mark.parametrize("timeout", [2.0, 10.0, 0.001, 3600.0])
def test_perfdata_knows_the_longest_time(timeout: float) -> None:
    verdict = judge(options(timeout=timeout), at_vip(WRONG))
    longest = verdict.perfdata.split()[0].split(";")[4]

    assert float(longest) == timeout
    assert "e" not in longest


@pytest.mark.parametrize("text", ["10", "0", "0.5", "10:", "~:10", "1:2", "@1:2", "-1:5", "@~:0"])
def test_ranges(text: str) -> None:
    assert checked_range(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "@",
        ":",
        "@:",
        "~",
        "1_000",
        "1e3",
        "inf",
        "nan",
        "1:2:3",
        "2:1",
        "5s",
        "1,5",
        "1\n",
    ],
)
def test_not_ranges(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a range|must not be greater"):
        checked_range(text)


def test_zero_is_a_threshold() -> None:
    """To nagiosplugin the number 0, unlike the text, would mean that there is no threshold."""
    assert judge(options(critical="0"), at_vip(*3 * [RIGHT])).code == 2


def test_long_output_grows_with_verbosity() -> None:
    seen = Observation(Grade.WRONG, "bad", 0.1, ("detail",), ("transcript",))
    lines = [
        judge(options(verbose=verbose), at_vip(seen, seen)).render("DNS", verbose).splitlines()[1:]
        for verbose in range(4)
    ]

    assert [one.count("detail") for one in lines] == [0, 1, 2, 2]
    assert [one.count("transcript") for one in lines] == [0, 0, 0, 2]
    assert lines[1][0] == "try 1, 192.0.2.53: bad in 100.0 ms"


def test_long_output_is_bounded() -> None:
    """Nagios reads 4 KB of output and no more."""
    verdict = Verdict(nagiosplugin.Ok, "ok", "time=U", details=("x" * 150,) * 100)

    assert 3000 < len(verdict.render("DNS", 1)) <= 4300


def test_remark_survives_a_long_text() -> None:
    """The number of failed tries is in the line, however long the words of the peer are."""
    talk = Observation(Grade.WRONG, "x" * 500)
    line = judge(options(), at_vip(talk, talk, talk)).render("DNS", 0)

    assert "still announced: xxx" in line
    assert "... (3 of 3 tries) | time=U;;;0;2 present=1\n" in line


@given(st.text(max_size=400), st.text(max_size=400))
def test_whatever_was_seen_makes_one_safe_line(text: str, detail: str) -> None:
    seen = Observation(Grade.WRONG, text, 0.1, (detail,))
    longest = "@999999999.999999:999999999.999999"
    verdict = judge(options(verbose=3, warning=longest, address="2001:db8:" * 4 + "1:2:3:4"),
                    at_vip(seen, seen, seen))  # fmt: skip
    line, *rest = verdict.render("DNS", 3).splitlines()

    assert re.fullmatch(r"DNS CRITICAL - [ -{}~]* \| time=\S+ present=1", line)
    assert len(line) <= 200
    assert all(re.fullmatch(r"[ -{}~]*", one) for one in rest)


@given(st.text(), st.integers(3, 300))
def test_clean_text_is_one_bounded_line_of_ascii(text: str, limit: int) -> None:
    line = clean(text, limit)

    assert re.fullmatch(r"[ -{}~]*", line)
    assert len(line) <= limit
    assert clean(line, limit) == line


OFFSET = Metric("offset", unit="s", warning="0.5")
MEASURED = Metric("offset", -0.0000012, "s", "0.5")


@pytest.mark.parametrize(
    ("seen", "last"),
    [
        (Observation(Grade.RIGHT, "fine", 0.1, metrics=(MEASURED,)), "offset=-0.000001s;0.5"),
        (WRONG, "offset=U;0.5"),
        (Observation(Grade.RIGHT, "x", metrics=(Metric("offset", 12.0),)), "offset=12"),
        (Observation(Grade.RIGHT, "x", metrics=(Metric("offset", 1e15),)), f"offset={10**15}"),
        (Observation(Grade.RIGHT, "x", metrics=(Metric("offset", 0.0),)), "offset=0"),
    ],
)
def test_a_metric_of_the_check_is_there_in_every_state(seen: Observation, last: str) -> None:
    """The figure has no exponent, and is U where the sample has not measured it."""
    assert judge(options(), at_vip(seen), (OFFSET,)).perfdata.split()[-1] == last
