"""A library is imported without what it does not need here, and never broken by that."""

import subprocess
import sys
from pathlib import Path

import pytest

FINDS_OUT = "; print([name for name in {names} if name in sys.modules])"


def run(code: str, directory: Path | None = None) -> str:
    """Run code in an interpreter of its own, which has imported nothing."""
    argv = [sys.executable, "-c", f"import sys; {code}"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=directory)
    return ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("anycast_checks.check_dns", ["email", "zipfile", "importlib.metadata"]),
        ("anycast_checks.check_dns", ["json", "tempfile", "ssl"]),
        ("anycast_checks.check_tcp", ["json", "tempfile", "ssl", "dns"]),
        ("anycast_handlers.transport.ssh", ["invoke", "unittest"]),
    ],
)
def test_what_is_not_needed_is_not_imported(module: str, unneeded: list[str]) -> None:
    assert run(f"import {module}{FINDS_OUT.format(names=unneeded)}") == "[]\n"


def test_others_get_the_real_modules_afterwards() -> None:
    code = "import anycast_checks.check_dns, importlib.metadata, json, tempfile"
    uses = (
        "print(json.dumps(1), tempfile.gettempdir()[:1], importlib.metadata.version('click')[:0])"
    )
    assert run(f"{code}; {uses}") == "1 / \n"


@pytest.mark.parametrize(
    "needs", ["import colorsys; colorsys.ONE_THIRD", "from colorsys import ONE_THIRD"]
)
def test_a_library_that_needs_it_after_all_gets_it(tmp_path: Path, needs: str) -> None:
    """A later version may use at its import what this one only names."""
    (tmp_path / "library.py").write_text(f"{needs}\nvalue = 1\n")
    code = "from anycast_checks.imports import lean; lean('library', 'colorsys')"
    uses = "import library, colorsys; print(library.value, colorsys.ONE_THIRD < 1)"
    assert run(f"{code}; {uses}", tmp_path) == "1 True\n"


def test_a_library_that_is_broken_says_so(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("import no_such_module\n")
    said = run("from anycast_checks.imports import lean; lean('library', 'colorsys')", tmp_path)
    assert said.endswith("ModuleNotFoundError: No module named 'no_such_module'\n")
