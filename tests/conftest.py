"""The option --all, and assertions outside of test files that show what they saw."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"anycast_checks": ROOT / "anycast_checks", "anycast_handlers": ROOT / "handlers"}

pytest.register_assert_rewrite("tests.support", "tests.ssh", "tests.lab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --all, which `scripts/test --all` hands on."""
    parser.addoption("--all", action="store_true", help="run the long forms of the tests too")


def pytest_configure() -> None:
    """End at once where the tests would run another checkout's code, or an installed copy."""
    for name, directory in PACKAGES.items():
        found = Path(importlib.import_module(name).__file__ or "").resolve().parent
        if found != directory:
            raise pytest.UsageError(f"{name} is {found}, not {directory}: use scripts/test")
