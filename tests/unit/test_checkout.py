"""Tests run the code of this checkout as it is now, never a copy that was installed before."""

import importlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.handler import PROGRAM

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "scripts" / "setup.sh"
PACKAGES = {"anycast_checks": ROOT / "anycast_checks", "anycast_handlers": ROOT / "handlers"}
CONSOLE_SCRIPTS = {
    "anycast_checks": str(Path(sys.executable).parent / "check_anycast"),
    "anycast_handlers": PROGRAM,
}
# PYTHONVERBOSE tells of each module the file that it was compiled from, now or earlier.
FOLDERS = "|".join([*PACKAGES, "handlers"])
LOADED = re.compile(
    rf"^# (?:.* matches |code object from '?)(.*/(?:{FOLDERS})/(?:\w+/)*\w+\.py)'?$", re.M
)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_tests_import_is_the_checkout(package: str) -> None:
    loaded = importlib.import_module(package).__file__
    assert loaded
    assert Path(loaded).resolve() == PACKAGES[package] / "__init__.py"


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("started_as", ["console script", "module"])
def test_the_programs_that_tests_start_are_the_checkout(package: str, started_as: str) -> None:
    script = started_as == "console script"
    program = [CONSOLE_SCRIPTS[package]] if script else [sys.executable, "-m", package]
    environment = {**os.environ, "PYTHONVERBOSE": "1"}
    ended = subprocess.run(
        [*program, "-V"], capture_output=True, text=True, check=False, env=environment, cwd="/"
    )
    loaded = {Path(file).resolve() for file in LOADED.findall(ended.stderr)}
    assert PACKAGES[package] / "__main__.py" in loaded
    assert [file for file in loaded if not {*file.parents} & {*PACKAGES.values()}] == []


def test_an_environment_that_ran_other_code_is_turned_to_this_checkout(tmp_path: Path) -> None:
    """The environment ran an installed copy, or another checkout, whose files stay as they are."""
    environment, other = tmp_path / "environment", tmp_path / "other"
    venv.create(environment)
    (site,) = environment.glob("lib/python3*/site-packages")
    (environment / "checkout").mkdir()
    for package, directory in PACKAGES.items():
        for earlier in (site / package, other / directory.name):
            earlier.mkdir(parents=True)
            (earlier / "__init__.py").touch()
        (environment / "checkout" / package).symlink_to(other / directory.name)

    link = '. "$0"; _link_checkout "$1"'
    subprocess.run(["bash", "-euc", link, str(SETUP), str(environment)], check=True)
    for package, directory in PACKAGES.items():
        show = f"import {package}; print({package}.__file__)"
        argv = [str(environment / "bin" / "python3"), "-I", "-c", show]
        loaded = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        assert Path(loaded).resolve() == directory / "__init__.py"
        assert (other / directory.name / "__init__.py").exists()


def test_a_second_checkout_can_have_environments_of_its_own(tmp_path: Path) -> None:
    directories = subprocess.run(
        ["bash", "-euc", '. "$0"; echo "$VENV $DEVELOP"', str(SETUP)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "ANYCAST_CACHE": "second"},
    ).stdout.split()
    assert directories == [f"{tmp_path}/second/venv", f"{tmp_path}/second/develop"]


def test_pytest_ends_at_once_where_it_would_test_other_code(tmp_path: Path) -> None:
    (tmp_path / "anycast_handlers").mkdir()
    (tmp_path / "anycast_handlers" / "__init__.py").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/unit/test_checkout.py"]
    ended = subprocess.run(
        argv, capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    line = f"anycast_handlers is {tmp_path}/anycast_handlers, not {ROOT}/handlers: use scripts/test"
    assert ended.stderr == f"ERROR: {line}\n\n"
    assert ended.stdout == ""
