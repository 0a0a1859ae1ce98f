"""The benchmark runs, once and small; no test depends on what it measures."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from lab.bench.failover import OF_HANDLER

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
PEERS = ("keepalived", "anycast-healthchecker, BIRD", "ExaBGP healthcheck", "anycastd, FRR")


def test_every_question_has_its_table_its_figures_and_its_picture(
    venv: Path, tmp_path: Path
) -> None:
    raw, picture = tmp_path / "raw.json", tmp_path / "picture.svg"
    argv = [str(BENCH), "--smoke", "--output", str(raw), "--picture", str(picture)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr

    figures = json.loads(raw.read_text())
    runs = {run["system"]: run for run in figures["failover"]}
    assert set(PEERS) < set(runs)
    for run in runs.values():
        # Between the kill and the end of the loss, queries were lost.
        assert 0 < run["lost"][0] <= run["seconds"]
    ours = next(run["stages"] for name, run in runs.items() if name.startswith("ours"))
    in_order = [ours[stage] for stage in OF_HANDLER]
    assert in_order == sorted(in_order)
    far = figures["distance"]
    assert {one["round_trip"] for one in far} == {0.0, 0.1}
    assert all(len(one["runs"]) == 1 for one in far)
    assert {row["check"] for row in figures["checks"]} >= {"dns", "http", "tcp", "ntp", "pool"}
    assert all(row["ours"]["cpu"] > 0 and row["ours"]["memory"] > 1 for row in figures["checks"])
    assert set(figures["probes"]) == {"SSH kept open", "watcher, 2 VIPs"}
    assert all(number > 0 for _, number, _, _ in figures["probes"].values())
    assert set(figures["handler"]) >= {"withdraw", "restore"}
    night = figures["night"]
    assert (night["floor kept"], night["withdrawn"]) == (True, night["due"])
    mass = figures["mass"]
    assert mass["all of each VIP"]["causes"] == 2
    assert mass["all of each VIP"]["withdrawn"] == 0
    assert mass["half of each"]["withdrawn"] == mass["half of each"]["failed"]
    assert all(one["kept"] for one in mass.values())
    assert set(figures["growth"]) == {"pool", "fleet"}
    assert [few for few, *_ in figures["streams"]] == [4, 22]
    assert [(one["endpoints"], one["shown"][0] > 0) for one in figures["scale"]] == [(5, True)]
    assert all(one["times"] == 1 for one in figures["restarts"].values())
    ours, peer = figures["planned"]
    assert (set(ours["lost"].values()), ours["left"] > 0, peer["left"] > 0) == ({0}, True, True)
    assert all(number > 20 for one in (ours, peer) for number in one["asked"].values())
    assert [moment["fault"] for moment in figures["day"]][:1] == ["killed"]
    assert all(moment["watcher"]["files"] > 3 for moment in figures["day"])
    named = "".join(ElementTree.fromstring(picture.read_text()).itertext())
    assert all(name in named for name, run in runs.items() if run["fault"] == "SIGKILL")
    assert all(name in ended.stdout for name in runs)
