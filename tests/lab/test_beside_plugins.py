"""Our checks beside monitoring-plugins on the same inputs: where theirs are right, ours are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.lab.beside import PLUGINS, Compared, table

ROOT = Path(__file__).parents[2]
TABLES = sorted(
    file.stem for file in Path(__file__).with_name("beside").glob("*.py") if file.stem[0] != "_"
)
PAGE = ROOT / "docs/checks.rst"
# Other versions of theirs are right elsewhere. The page names the version that it shows.
THEIRS = "monitoring-plugins 2.3.3"


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize("name", TABLES)
def test_where_theirs_is_right_ours_is(name: str) -> None:
    """The table is printed, and stands in docs/checks.rst as it is printed."""
    programs: list[str] = import_module(f"tests.lab.beside.{name}").PROGRAMS
    missing = [one for one in programs if not shutil.which(f"{PLUGINS}/{one}")]
    if missing or not shutil.which("unshare"):
        pytest.skip(f"there is no {' '.join(missing)} or unshare")
    argv = ["unshare", "--net", sys.executable, "-m", "tests.lab.beside", name]
    ended = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    compared = [Compared(*one) for one in json.loads(ended.stdout)]
    lines = table(programs, compared)
    print("\n".join(lines))
    assert len(compared) >= 30
    wrong = [one for one in compared if one.ours != one.right]
    assert [(one.says, one.lines) for one in wrong] == []
    if not _is_of_the_page(programs[0]):
        return
    shown = [line.strip() for line in PAGE.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if line not in shown] == [], "docs/checks.rst"


def _is_of_the_page(program: str) -> bool:
    """Whether a plugin has the version of the table in docs/checks.rst."""
    argv = [f"{PLUGINS}/{program}", "--version"]
    said = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout
    assert "monitoring-plugins" in said, said
    return THEIRS in said
