"""The benchmark runs, once and small; no test depends on what it measures.

The plain run asks the questions that a reader of the pages asks first; ``--all`` asks all of them.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from lab.bench.failover import OF_HANDLER
from lab.bench.questions import QUESTIONS

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
PEERS = ("keepalived", "anycast-healthchecker, BIRD", "ExaBGP healthcheck", "anycastd, FRR")
# Half of the time of all questions goes into these.
LONG = ("distance", "growth", "night", "mass", "restarts", "scale", "streams")


class Bench(NamedTuple):
    """What one run of the benchmark has printed, its raw figures, and its picture."""

    printed: str
    figures: Any
    picture: Path


@pytest.fixture
def bench(venv: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    """Ask one question, by the name of the test."""
    question = request.node.name.removeprefix("test_")
    if question in LONG and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    raw, picture = tmp_path / "raw.json", tmp_path / "picture.svg"
    argv = [str(BENCH), "--smoke", "--output", str(raw), "--picture", str(picture), question]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return Bench(ended.stdout, json.loads(raw.read_text())[question], picture)


def test_each_question_has_its_test() -> None:
    assert {f"test_{question}" for question in QUESTIONS} <= globals().keys()


def test_failover(bench: Bench) -> None:
    runs = {run["system"]: run for run in bench.figures}
    assert set(PEERS) < set(runs)
    for run in runs.values():
        # Between the kill and the end of the loss, queries were lost.
        assert 0 < run["lost"][0] <= run["seconds"]
    ours = next(run["stages"] for name, run in runs.items() if name.startswith("ours"))
    in_order = [ours[stage] for stage in OF_HANDLER]
    assert in_order == sorted(in_order)
    named = "".join(ElementTree.fromstring(bench.picture.read_text()).itertext())
    assert all(name in named for name, run in runs.items() if run["fault"] == "SIGKILL")
    assert all(name in bench.printed for name in runs)


def test_distance(bench: Bench) -> None:
    assert {one["round_trip"] for one in bench.figures} == {0.0, 0.1}
    assert all(len(one["runs"]) == 1 for one in bench.figures)


def test_checks(bench: Bench) -> None:
    assert {row["check"] for row in bench.figures} >= {"dns", "http", "tcp", "ntp", "pool"}
    assert all(row["ours"]["cpu"] > 0 and row["ours"]["memory"] > 1 for row in bench.figures)


def test_probes(bench: Bench) -> None:
    assert set(bench.figures) == {"SSH kept open", "watcher, 2 VIPs", "watcher, clients"}
    assert all(number > 0 for _, number, _, _ in bench.figures.values())


def test_handler(bench: Bench) -> None:
    assert set(bench.figures) >= {"withdraw", "restore"}


def test_night(bench: Bench) -> None:
    assert bench.figures["floor kept"]
    assert bench.figures["withdrawn"] == bench.figures["due"]


def test_mass(bench: Bench) -> None:
    alike, half = bench.figures["all of each VIP"], bench.figures["half of each"]
    assert (alike["causes"], alike["withdrawn"]) == (2, 0)
    assert half["withdrawn"] == half["failed"]
    assert alike["kept"]
    assert half["kept"]


def test_growth(bench: Bench) -> None:
    assert set(bench.figures) == {"pool", "fleet"}


def test_streams(bench: Bench) -> None:
    assert [few for few, *_ in bench.figures] == [4, 22]


def test_scale(bench: Bench) -> None:
    assert [(one["endpoints"], one["shown"][0] > 0) for one in bench.figures] == [(5, True)]


def test_restarts(bench: Bench) -> None:
    assert all(one["times"] == 1 for one in bench.figures.values())


def test_planned(bench: Bench) -> None:
    ours, peer = bench.figures
    assert (set(ours["lost"].values()), ours["left"] > 0, peer["left"] > 0) == ({0}, True, True)
    assert all(number > 20 for one in (ours, peer) for number in one["asked"].values())


def test_day(bench: Bench) -> None:
    assert [moment["fault"] for moment in bench.figures][:1] == ["killed"]
    assert all(moment["watcher"]["files"] > 3 for moment in bench.figures)
