"""What each endpoint was, in lanes, and the page that shows them."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.operation import past
from anycast_handlers.operation.lanes import Course, Lane, Span, What, lanes
from anycast_handlers.operation.past import Wanted, last
from anycast_handlers.watch.page.drawing import Stretch
from anycast_handlers.watch.page.history import render

from anycast_checks.times import iso
from tests.support.decisions import (
    MIDNIGHT,
    entry,
    night,
    refusal,
    restoration,
    withdrawal,
    written,
)
from tests.support.handler import Monitor

HOUR = 3600.0
NIGHT = Stretch(MIDNIGHT, MIDNIGHT + 8 * HOUR)
ALL = Wanted({}, everything=False)


def lane(*entries: dict[str, Any]) -> Lane:
    (made,) = lanes(entries, ALL, *NIGHT)
    return made


def spans(*entries: dict[str, Any]) -> list[tuple[str, float, float]]:
    return [(s.what.name, s.begin - MIDNIGHT, s.end - MIDNIGHT) for s in lane(*entries).spans]


class TestLanes:
    def test_a_withdrawal_and_a_restore(self) -> None:
        at = MIDNIGHT
        found = spans(entry(at), withdrawal(at + 100), restoration(at + 700), entry(at + 760))
        assert found == [("SERVING", 0, 100), ("OUT", 100, 700), ("SERVING", 700, 8 * HOUR)]

    def test_a_refusal_leaves_it_failing_until_it_is_well_again(self) -> None:
        at = MIDNIGHT
        found = spans(entry(at), refusal(at + 100), refusal(at + 160), entry(at + 220))
        assert found == [("SERVING", 0, 100), ("FAILING", 100, 220), ("SERVING", 220, 8 * HOUR)]

    def test_what_somebody_else_has_changed_has_no_known_time(self) -> None:
        at = MIDNIGHT
        found = spans(withdrawal(at), entry(at + 60, present=False), entry(at + 600))
        assert found == [("OUT", 0, 60), ("UNKNOWN", 60, 600), ("SERVING", 600, 8 * HOUR)]

    def test_nothing_is_known_before_the_first_look(self) -> None:
        at = MIDNIGHT
        unseen = entry(at + 60, present=None, rule="error", exit=2)
        found = spans(unseen, withdrawal(at + 120))
        assert found == [("UNKNOWN", 0, 120), ("OUT", 120, 8 * HOUR)]

    def test_a_rehearsal_and_an_act_in_vain_change_nothing(self) -> None:
        at = MIDNIGHT
        dry = withdrawal(at, dry_run=True, afterwards=True, verified=None, state=None)
        vain = withdrawal(at + 60, afterwards=True, verified={"address": False}, exit=2)
        assert spans(dry, vain) == [("SERVING", 0, 60), ("FAILING", 60, 8 * HOUR)]

    def test_an_unknown_state_says_nothing_about_the_service(self) -> None:
        at = MIDNIGHT
        unknown = entry(at + 60, state="UNKNOWN", rule="not-actionable")
        assert spans(refusal(at), unknown) == [("FAILING", 0, 8 * HOUR)]

    def test_what_each_run_repeats_is_one_decision_and_each_act_is_its_own(self) -> None:
        at = MIDNIGHT
        repeated = [refusal(at + 60 * n, text=f"would leave {n} of 9") for n in range(5)]
        (one, act, again) = lane(*repeated, withdrawal(at + 400), withdrawal(at + 500)).told
        assert (one.times, one.first, one.last) == (5, at, at + 240)
        assert (act.times, again.times) == (1, 1)
        assert (one.has_failed, act.has_failed) == (True, False)

    def test_an_act_that_did_not_end_as_it_was_decided_has_failed(self) -> None:
        """By the verb, whose exit code says which one: that of `enforce` is 2 for a restore too."""
        at = MIDNIGHT
        back = withdrawal(at, afterwards=True, severity="CRITICAL", exit=1)
        vain = withdrawal(at + 60, severity="CRITICAL", exit=2, verified={"address": False})
        few = restoration(at + 120, rule="too-few", severity="CRITICAL", exit=2)
        assert [one.has_failed for one in lane(back, vain, few).told] == [True, True, False]

    def test_an_endpoint_without_a_decision_has_no_lane(self) -> None:
        assert lanes([entry(MIDNIGHT)], ALL, *NIGHT) == []
        everything = Wanted({}, everything=True)
        assert [one.endpoint for one in lanes([entry(MIDNIGHT)], everything, *NIGHT)] == ["ns1"]

    @pytest.mark.parametrize("time", [None, 5, "yesterday", "9999999-01-01T00:00:00Z", ["x"]])
    def test_a_line_without_a_time_is_passed_over(self, time: object) -> None:
        assert lanes([withdrawal(MIDNIGHT) | {"time": time}], ALL, *NIGHT) == []


class TestCourse:
    """The first and the last of each row of alike looks, however the log is read."""

    def log(self, tmp_path: Path, *, rotated: bool) -> str:
        looks = [entry(MIDNIGHT + 60 * n, f"ns{m}") for n in range(200) for m in (1, 2)]
        for number in range(100, 200):
            looks[2 * number] |= {"present": False, "afterwards": False}
        if rotated:
            (tmp_path / "log.1.gz").write_bytes(gzip.compress(written(looks)))
            looks = []
        (tmp_path / "log").write_bytes(written(looks))
        return f"{tmp_path}/log"

    @pytest.mark.parametrize("rotated", [True, False])
    @pytest.mark.parametrize("chunk", [1000, 1 << 20])
    def test_only_changes_are_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, *, rotated: bool
    ) -> None:
        monkeypatch.setattr(past, "CHUNK", chunk)
        found, _ = last(self.log(tmp_path, rotated=rotated), Course({}, everything=False), 1000)
        of_ns1 = sorted(one["time"] for one in found if one["endpoint"] == "ns1")
        assert of_ns1 == [iso(MIDNIGHT + 60 * n) for n in (0, 99, 100, 199)]
        assert len([one for one in found if one["endpoint"] == "ns2"]) == 2

    def test_what_is_wanted_of_one_endpoint_is_of_that_endpoint(self, tmp_path: Path) -> None:
        course = Course({"endpoint": "ns2"}, everything=False)
        found, _ = last(self.log(tmp_path, rotated=False), course, 1000)
        assert {one["endpoint"] for one in found} == {"ns2"}

    def test_nothing_older_is_read(self, tmp_path: Path) -> None:
        since = iso(MIDNIGHT + 60 * 150)
        found, _ = last(
            self.log(tmp_path, rotated=True), Wanted({}, everything=True, since=since), 1000
        )
        assert (len(found), found[0]["time"]) == (100, since)


def test_since_reads_no_more_than_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "CHUNK", 1000)
    looks = written([entry(MIDNIGHT + n) for n in range(1000)])
    # The beginning of a file would be read last.
    (tmp_path / "log").write_bytes(written([entry(MIDNIGHT + 5000)]) + looks)
    since = Wanted({}, everything=True, since=iso(MIDNIGHT + 990))
    assert len(last(f"{tmp_path}/log", since, 1000)[0]) == 10


class Markup(HTMLParser):
    """Collects the elements of a page, and all its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


class TestPage:
    @pytest.fixture
    def page(self, tmp_path: Path) -> str:
        monitor = Monitor(tmp_path)
        (tmp_path / "log/decisions.jsonl").write_bytes(written(night()))
        code, said = monitor.run("history", "--html", f"{tmp_path}/page.html")
        assert (code, said.count("\n")) == (0, 0)
        assert said.startswith(f"{tmp_path}/page.html: 3 endpoints, since 20")
        assert (tmp_path / "page.html").stat().st_mode & 0o7 == 0
        return (tmp_path / "page.html").read_text()

    def test_it_says_what_was_decided_and_why(self, page: str) -> None:
        text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page))
        assert "3 endpoints, 29 decisions, 2 withdrawals, 1 restore, 25 refused or failed" in text
        assert "10.99.0.53 withdrawn by ifupdown: DNS CRITICAL - connection refused" in text
        assert "withdraw by alice, by the rule withdraw; because: by hand; disk" in text
        assert "would leave 1 of 3, the floor is 2" in text
        assert "25 times since 20" in text
        assert re.search(r"\d\dZ /sbin/ifdown lo:0 \(exit code 0\)", text)
        assert "in service and failing" in text

    def test_it_counts_no_withdrawal_that_was_taken_back(self) -> None:
        back = withdrawal(MIDNIGHT, afterwards=True, severity="CRITICAL", exit=1)
        page = render(lanes([back], ALL, *NIGHT), NIGHT, [])
        assert "1 decision, 0 withdrawals, 0 restores, 1 refused or failed" in page
        assert "connection refused (taken back)</p>" in page

    def test_nothing_in_it_is_code_or_comes_from_elsewhere(self, page: str) -> None:
        found = Markup(page)
        assert "onerror" in page  # as text
        assert found.elements.isdisjoint({"script", "img", "iframe", "link", "object", "form"})
        assert not any(name.startswith("on") or name == "style" for name, _ in found.attributes)
        links = [value for name, value in found.attributes if name in ("href", "src")]
        assert links
        assert all(re.fullmatch(r"#e[0-9]+", link) for link in links)
        policy = dict(found.attributes)["content"]
        assert "default-src 'none'" in page
        assert policy

    def test_a_log_of_somebody_else_makes_no_markup(self) -> None:
        """Whatever type a field has, and whatever is in it."""
        evil: Any = ['"><script>', {"<b>": "'"}]
        fields = ("verb", "user", "rule", "text", "reason", "duration", "state", "exit")
        one = withdrawal(MIDNIGHT) | dict.fromkeys(fields, evil)
        one |= {"vip": evil, "endpoint": evil, "commands": [evil, {"argv": evil, "said": evil}]}
        made = lanes([one], ALL, *NIGHT)
        found = Markup(render(made, NIGHT, [str(evil)]))
        assert found.elements.isdisjoint({"script", "b"})
        assert [value for _, value in found.attributes if "script" in value] == []

    def test_an_empty_log_is_a_page_too(self, tmp_path: Path) -> None:
        monitor = Monitor(tmp_path)
        code, page = monitor.run("history", "--html", "-", "--since", "2h")
        assert code == 0
        assert page.startswith("<!DOCTYPE html>")
        assert "0 endpoints, 0 decisions" in page

    def test_a_file_that_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        monitor = Monitor(tmp_path)
        code, said = monitor.run("history", "--html", f"{tmp_path}/none/page.html")
        assert code == 3
        assert said.endswith("page.html: cannot be written: No such file or directory")

    def test_the_number_of_lines_is_for_the_terminal(self, tmp_path: Path) -> None:
        code, said = Monitor(tmp_path).run("history", "--html", "-", "-n", "5")
        assert (code, "leave out -n" in said) == (3, True)


def test_a_span_has_no_gap_to_the_next_one() -> None:
    for one in lanes(night(), ALL, MIDNIGHT, MIDNIGHT + 1e9):
        for before, after in zip(one.spans, one.spans[1:], strict=False):
            assert before.end == after.begin
            assert before.what is not after.what
        assert isinstance(one.spans[0], Span)
        assert one.what in What


def test_since_shows_all_of_the_time_in_the_terminal(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    (tmp_path / "log/decisions.jsonl").write_bytes(written(night()))
    code, said = monitor.run("history", "--since", "9h", "--all")
    assert (code, len(said.splitlines())) == (0, len(night()))
    code, said = monitor.run("history", "--since", "1h")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ withdraw by alice: ns3: .*", said)


def test_where_there_is_nothing_to_show_it_says_so(tmp_path: Path) -> None:
    """An empty screen could mean that the wrong log was read."""
    monitor = Monitor(tmp_path)
    log = f"{tmp_path}/log/decisions.jsonl"
    none = f"there is no {log}: nothing has been decided on this monitoring host yet"
    assert monitor.run("history") == (0, none)
    monitor.event("CRITICAL", "SOFT")
    hidden = f"{log} has no such decision; --all shows decisions to do nothing too"
    assert monitor.run("history") == (0, hidden)
    assert monitor.run("history", "--all", "resolver", "ns9") == (0, f"{log} has no such decision")
