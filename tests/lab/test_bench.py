"""The benchmark runs, once and small; no test depends on what it measures."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

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
    ours = next(run for name, run in runs.items() if name.startswith("ours"))
    in_order = list(ours["stages"].values())[:-1]
    assert in_order == sorted(in_order)
    assert {row["check"] for row in figures["checks"]} >= {"dns", "http", "tcp", "ntp", "pool"}
    assert all(row["ours"]["cpu"] > 0 and row["ours"]["memory"] > 1 for row in figures["checks"])
    assert set(figures["probes"]) == {"SSH", "SSH kept open", "NRPE"}
    assert all(number > 0 < wall for _, number, wall in figures["probes"].values())
    assert set(figures["handler"]) >= {"withdraw", "restore"}
    night = figures["night"]
    assert (night["floor kept"], night["withdrawn"]) == (True, night["due"])
    assert set(figures["growth"]) == {"pool", "fleet"}
    named = "".join(ElementTree.fromstring(picture.read_text()).itertext())
    assert all(name in named for name in runs)
    assert all(name in ended.stdout for name in runs)
