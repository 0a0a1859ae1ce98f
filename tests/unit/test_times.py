"""A time, and how long something lasts, is written in one way, whoever writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anycast_checks.times import iso, lasting, utc

ROOT = Path(__file__).parents[2]
FORMATS = re.compile(r"strftime\(|\.isoformat\(|gmtime\(|localtime\(|asctime\(|\bctime\(")


def test_a_time_has_its_zone() -> None:
    assert utc(1769829124.25) == "2026-01-31 03:12:04Z"
    assert iso(1769829124.25) == "2026-01-31T03:12:04.250Z"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 m"), (7169, "119 m"), (7199, "2 h"), (172800, "2 d")],
)
def test_a_duration_has_its_unit(seconds: float, written: str) -> None:
    assert lasting(seconds) == written


def test_nothing_else_formats_a_time() -> None:
    sources = [*(ROOT / "anycast_checks").rglob("*.py"), *(ROOT / "handlers").rglob("*.py")]
    found = [file.relative_to(ROOT) for file in sources if FORMATS.search(file.read_text())]
    assert found == [Path("anycast_checks/times.py")]
