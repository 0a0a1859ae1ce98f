"""The unit of the watcher, as systemd itself reads it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.program import ROOT

UNIT = ROOT / "systemd/anycast-watch.service"
PROGRAM = "/opt/anycast-checks/bin/anycast-handler"


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    text = UNIT.read_text()
    assert text.count(PROGRAM) == 1
    # systemd-analyze also looks whether the program is there.
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(PROGRAM, "/bin/true").replace("User=nagios", "User=root"))
    argv = ["systemd-analyze", "verify", "--man=no", str(unit)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    assert (ended.returncode, UNIT.name in said) == (0, False), said


def test_it_is_started_again_however_often_it_has_failed() -> None:
    """By default systemd gives up after five starts within 10 s, with a reload or two by hand."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(UNIT)
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
