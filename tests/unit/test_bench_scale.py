"""The benchmark of many endpoints ends with its table, whatever was too slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.bench import scale
from lab.bench.scale import NEVER, VERBS, Scale
from lab.bench.show import show

IN_TIME = Scale(
    endpoints=100,
    cpu=(0.016, 0.058),
    memory=(53.0, 58.0),
    heard=3.2,
    shown=(0.13, 0.21),
    validated=(0.26, 0.3),
    reloaded=1.1,
    verbs=dict.fromkeys(VERBS, 8.3),
    own=dict.fromkeys(VERBS, 0.8),
    known=0.31,
)
TOO_LATE = IN_TIME._replace(
    endpoints=1000,
    heard=NEVER,
    shown=(NEVER, NEVER),
    reloaded=NEVER,
    verbs=dict.fromkeys(VERBS, NEVER),
)


def test_what_was_too_slow_has_its_place_in_the_table() -> None:
    rows = {
        line[:38].strip(): line[38:].split()
        for line in scale.table([IN_TIME, TOO_LATE]).splitlines()
    }
    assert rows["endpoints"] == ["100", "1000"]
    late = {name for name, cells in rows.items() if cells[1] == ">300"}
    assert late == {
        "all streams are heard after, s",
        "one fails: Icinga shows it after, s",
        "at the worst",
        "reload of Icinga, s",
        *(f"anycast-handler {verb}, s" for verb in VERBS),
    }
    assert rows["anycast-handler doctor, s"][0] == "8.3"
    assert rows["status by the watcher, s"] == ["0.31", "0.31"]
    assert rows["CPU of doctor itself, s"] == ["0.8", "-"]


def test_a_file_of_raw_figures_shows_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    raw = {"machine": "2 x CPU", "scale": [IN_TIME._asdict(), TOO_LATE._asdict()]}
    file.write_text(json.dumps(raw))
    show([file])
    assert scale.table([IN_TIME, TOO_LATE]) in capsys.readouterr().out
