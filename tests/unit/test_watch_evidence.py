"""What a stream proves: when a failure is certain, and when nothing can be told."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from anycast_handlers.decision.facts import State, StateType
from anycast_handlers.watch.cause import Failing, common_cause
from anycast_handlers.watch.evidence import Evidence, Judgement, Rules
from anycast_handlers.watch.line import NotALineError, Sample, Suspect, read
from hypothesis import given
from hypothesis import strategies as st

RULES = Rules(interval=0.2, timeout=0.3, samples=2, patience=0.5)
# The endpoint has been up for so long when the watcher's clock shows 0.
BOOTED = 1000.0


def line(at: float, **fields: Any) -> str:
    return json.dumps({"seq": 1, "uptime": BOOTED + at, **fields})


def hello(at: float) -> str:
    said = {"stream": 1, "version": "1.0", "boot": "b", "check": "dns", "address": "10.99.0.53"}
    return line(at, **said, interval=0.2, wakeups=["tcp"])


def sample(at: float, state: str, failures: int = 0, **fields: Any) -> str:
    said = {"state": state, "failing": failures > 0, "present": True, "kind": "right", "text": "t"}
    said |= {"seconds": None, "samples": failures, "began": BOOTED + at - 0.01}
    return line(at, **said | fields)


def failing(at: float, failures: int, kind: str = "refused", **fields: Any) -> str:
    state = "CRITICAL" if failures > 1 else "OK"
    return sample(at, state, failures, kind=kind, **fields)


def beat(at: float) -> str:
    return line(at, beat=1, samples=5, seconds=0.1, lag=0.0, discarded=0, dropped=0, overruns=0)


class Heard:
    """The evidence of lines, each heard at a moment."""

    def __init__(self, *said: tuple[float, str], rules: Rules = RULES) -> None:
        self.evidence = Evidence(rules)
        for at, text in said:
            self.evidence.hear(read(text), at)

    def judge(self, at: float) -> Judgement:
        return self.evidence.judge(at)

    def state(self, at: float) -> tuple[State, StateType]:
        judged = self.judge(at)
        return judged.state, judged.state_type


def heard(*said: str, rules: Rules = RULES) -> Heard:
    """Hear lines at the moments at which they were said."""
    times = (json.loads(text)["uptime"] - BOOTED for text in said)
    return Heard(*zip(times, said, strict=True), rules=rules)


WELL = (hello(0), sample(0.1, "OK"))
CRITICAL_HARD = (State.CRITICAL, StateType.HARD)
CRITICAL_SOFT = (State.CRITICAL, StateType.SOFT)
OK_HARD = (State.OK, StateType.HARD)
CANNOT_TELL = State.UNKNOWN


class TestWhatIsCertain:
    def test_a_service_that_is_well(self) -> None:
        assert heard(*WELL).state(0.5) == OK_HARD
        assert heard(*WELL, beat(1.1), beat(2.1)).state(4.0) == OK_HARD

    def test_a_failure_that_has_lasted_for_the_patience(self) -> None:
        said = [failing(1 + 0.1 * n, n + 1) for n in range(6)]
        assert heard(*WELL, *said).state(1.49) == CRITICAL_SOFT
        assert heard(*WELL, *said).state(1.51) == CRITICAL_HARD
        assert heard(*WELL, *said).evidence.due() == pytest.approx(1.5)

    def test_one_right_answer_between_begins_anew(self) -> None:
        said = (failing(1, 1), failing(1.1, 2), sample(1.2, "OK"), failing(1.3, 1))
        again = heard(*WELL, *said, failing(1.4, 2))
        assert again.state(1.6) == CRITICAL_SOFT
        assert again.state(1.81) == CRITICAL_HARD

    def test_without_patience_two_samples_are_enough(self) -> None:
        rules = RULES._replace(patience=0.0)
        assert heard(*WELL, failing(1, 1), rules=rules).state(1.0) == (State.OK, StateType.SOFT)
        assert (
            heard(*WELL, failing(1, 1), failing(1.02, 2), rules=rules).state(1.02) == CRITICAL_HARD
        )

    def test_fewer_samples_than_the_fleet_file_wants(self) -> None:
        rules = RULES._replace(patience=0.0, samples=3)
        two = (failing(1, 1), failing(1.02, 2))
        assert heard(*WELL, *two, rules=rules).state(1.1) == CRITICAL_SOFT
        assert heard(*WELL, *two, failing(1.1, 3), rules=rules).state(1.1) == CRITICAL_HARD

    @pytest.mark.parametrize(("began", "certain"), [(1.1, True), (1.35, False)])
    def test_silence_needs_two_questions_that_overlap(self, began: float, *, certain: bool) -> None:
        rules = RULES._replace(patience=0.0)
        first = failing(1.3, 1, "silent", began=BOOTED + 1)
        second = failing(1.4, 2, "silent", began=BOOTED + began)
        judged = heard(*WELL, first, second, rules=rules).judge(1.4)
        assert judged.is_certain_failure is certain

    def test_a_withdrawn_endpoint_that_still_fails_is_no_failure(self) -> None:
        said = sample(1, "WARNING", 5, kind="refused", present=False)
        judged = heard(*WELL, said).judge(1.1)
        assert (judged.state, judged.present) == (State.WARNING, False)
        assert not judged.is_certain_failure
        assert judged.state_type is StateType.HARD

    def test_a_withdrawn_endpoint_that_fails_once_has_not_changed_yet(self) -> None:
        said = sample(1, "OK", 1, kind="refused", present=False)
        assert heard(*WELL, said).state(1.1) == (State.OK, StateType.SOFT)


class TestWhatCannotBeTold:
    def test_before_the_first_line_and_before_the_first_interval(self) -> None:
        assert Heard().judge(0).state is CANNOT_TELL
        dead = (hello(0), failing(0.05, 2))
        assert heard(*dead, rules=RULES._replace(patience=0)).judge(0.1).state is CANNOT_TELL
        assert heard(*dead, rules=RULES._replace(patience=0)).state(0.25) == CRITICAL_HARD

    def test_a_stream_that_falls_silent(self) -> None:
        said = heard(*WELL, beat(1.1))
        assert said.state(4.0) == OK_HARD
        assert said.judge(4.4).state is CANNOT_TELL
        assert said.evidence.is_lost(4.4)

    def test_a_stream_that_falls_silent_while_its_service_fails(self) -> None:
        """The last sample has to be of this moment; silence of the stream is no failure."""
        said = heard(*WELL, failing(1, 1), failing(1.02, 2))
        assert said.state(1.6) == CRITICAL_HARD
        assert said.state(2.0) == CRITICAL_SOFT

    def test_a_stream_that_has_ended(self) -> None:
        said = heard(*WELL, line(1, end="ended by SIGTERM"))
        assert said.judge(1.1).state is CANNOT_TELL
        assert "ended by SIGTERM" in said.judge(1.1).text

    def test_a_stream_that_begins_without_a_hello(self) -> None:
        assert heard(failing(0, 5), failing(1, 9)).judge(1.1).state is CANNOT_TELL

    def test_lines_that_were_under_way_for_long_are_no_failure_of_now(self) -> None:
        late = [(9.0, failing(1 + 0.1 * n, n + 1)) for n in range(9)]
        said = Heard((0, hello(0)), (0.1, sample(0.1, "OK")), *late)
        assert said.judge(9.1).state is CANNOT_TELL
        said.evidence.hear(read(failing(9.2, 20)), 9.2)
        assert said.state(9.3) == CRITICAL_SOFT
        said.evidence.hear(read(failing(9.6, 22)), 9.6)
        assert said.state(9.8) == CRITICAL_HARD

    def test_a_clock_that_runs_slower_makes_no_line_late(self) -> None:
        """A drift of 50 millionths is usual; in eight hours it is more than a second."""
        said = Heard((0, hello(0)), (0.1, sample(0.1, "OK")))
        for second in range(1, 8 * 3600):
            at = second * (1 + 50e-6)
            said.evidence.hear(read(beat(second)), at)
        at = 8 * 3600 * (1 + 50e-6)
        for number in range(9):
            said.evidence.hear(read(failing(8 * 3600 + number / 10, number + 1)), at + number / 10)
        assert said.state(at + 0.9) == CRITICAL_HARD

    def test_only_the_fastest_line_of_late_counts(self) -> None:
        """After half a minute a line is as late as it is against the lines since then."""
        said = Heard((0, hello(0)), (0.1, sample(0.1, "OK")))
        for second in range(1, 29):
            said.evidence.hear(read(beat(second)), second + 1.2)
        assert said.judge(30.3).state is CANNOT_TELL
        for second in range(29, 33):
            said.evidence.hear(read(beat(second)), second + 1.2)
        assert said.state(33.3) == OK_HARD
        said.evidence.hear(read(beat(33)), 33.1)
        said.evidence.hear(read(beat(34)), 35.2)
        assert said.judge(35.3).state is CANNOT_TELL

    def test_a_beat_of_a_stream_that_is_not_late_changes_no_judgement(self) -> None:
        said = heard(*WELL).evidence
        assert not said.hear(read(beat(1)), 1)
        assert said.hear(read(beat(2)), 9)
        assert said.hear(read(beat(10)), 10)
        assert not said.hear(read(beat(11)), 11)
        assert said.hear(read(sample(11.1, "OK")), 11.1)

    def test_an_endpoint_that_has_started_anew(self) -> None:
        said = heard(*WELL, failing(1, 1), failing(1.4, 2))
        said.evidence.hear(read(json.dumps(json.loads(hello(0)) | {"uptime": 3.0})), 1.6)
        assert said.judge(1.7).state is CANNOT_TELL


class TestLines:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "DNS UNKNOWN - no such option",
            "[1]",
            "null",
            '{"state": 1}',
            "[" * 400,
            sample(0, "OK", present="yes"),
            sample(0, "SPLENDID"),
            sample(0, "OK", samples=-1),
            sample(0, "OK", samples=1e400),
            sample(0, "OK", samples=True),
            sample(0, "OK", began="now"),
            sample(0, "OK", text=5),
            sample(0, "OK", text="x" * 600),
            line(float("nan"), beat=1, samples=1),
            json.dumps({"beat": 1, "samples": 1}),
            hello(0).replace('"stream": 1', '"stream": 2'),
            hello(0).replace('["tcp"]', '"tcp"'),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, text: str) -> None:
        with pytest.raises(NotALineError) as caught:
            read(text)
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()

    def test_what_a_later_version_may_add_is_passed_over(self) -> None:
        assert read(line(0, weather="fine")) is None
        more = read(sample(0, "OK", weather="fine"))
        assert isinstance(more, Sample)
        assert isinstance(read(line(0, suspect=True, kind="late", began=1.0)), Suspect)

    def test_text_of_an_endpoint_is_harmless(self) -> None:
        said = read(sample(0, "OK", text="a\x1b[31m|\n\u202e<b>"))
        assert isinstance(said, Sample)
        assert said.text.isprintable()
        assert said.text.isascii()

    @given(st.text(max_size=520))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        with contextlib.suppress(NotALineError):
            read(text)

    @given(
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)
    )
    def test_any_value_is_read_or_refused(self, value: object) -> None:
        for key in ("stream", "state", "suspect", "beat", "end", "uptime", "samples", "text"):
            said = json.loads(sample(0, "OK")) | json.loads(hello(0)) | {key: value}
            with contextlib.suppress(NotALineError):
                read(json.dumps(said))


class TestCommonCause:
    def fail(self, *since: float, kind: str = "refused") -> list[Failing]:
        return [Failing(f"ns{n}", at, kind) for n, at in enumerate(since, 1)]

    def test_more_than_half_within_ten_seconds(self) -> None:
        found = common_cause(self.fail(1, 5), 3)
        assert found
        assert (found.kind, found.endpoints, found.since) == ("refused", ("ns1", "ns2"), 1)
        said = found.say()
        assert said.startswith(
            "2 of 3 endpoints began to fail in the same way (refused) within 10 s"
        )

    @pytest.mark.parametrize(
        ("since", "of"), [((1,), 1), ((1,), 3), ((1, 2), 4), ((1, 12), 3), ((), 3)]
    )
    def test_fewer_or_later_ones_have_none(self, since: tuple[float, ...], of: int) -> None:
        assert common_cause(self.fail(*since), of) is None

    def test_failures_of_two_kinds_have_none(self) -> None:
        two = [*self.fail(1, 2), *self.fail(1, 2, kind="wrong")]
        assert common_cause(two, 4) is None
