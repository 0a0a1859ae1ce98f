"""Builds what is published, once for all tests of a run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.program import ROOT


@pytest.fixture(scope="session")
def build(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Give the function that builds for a release, or the wheel, and returns the directory."""
    built: dict[str, Path] = {}

    def of(what: str) -> Path:
        if not request.config.getoption("--all"):
            pytest.skip("a long form, which --all runs")
        if what not in built:
            built[what] = tmp_path_factory.mktemp(what)
            argv = [str(ROOT / "scripts/package"), what]
            given = {"ANYCAST_DIST": str(built[what]), "ANYCAST_BUILD": "2"}
            environment = {**os.environ, **given}
            ended = subprocess.run(
                argv, capture_output=True, text=True, check=False, env=environment
            )
            assert ended.returncode == 0, ended.stdout + ended.stderr
        return built[what]

    return of
