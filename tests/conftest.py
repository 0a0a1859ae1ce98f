"""The option --all, and a fixture for tests that want a host and no lab."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support.namespace import Namespace

ROOT = Path(__file__).parents[1]
# By default an example that takes 0.2 s is a failure, and on a busy machine each may take that.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
PACKAGES = {"anycast_checks": ROOT / "anycast_checks", "anycast_handlers": ROOT / "handlers"}

# The assertions of what several tests share show what they saw, as those of the tests do.
pytest.register_assert_rewrite("tests.support", "tests.ssh", "tests.lab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --all, which `scripts/test --all` hands on."""
    parser.addoption("--all", action="store_true", help="run the long forms of the tests too")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave the long forms to --all."""
    if item.get_closest_marker("long") and not item.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")


def pytest_configure() -> None:
    """End at once where the tests would run another checkout's code, or an installed copy."""
    for name, directory in PACKAGES.items():
        found = Path(importlib.import_module(name).__file__ or "").resolve().parent
        if found != directory:
            raise pytest.UsageError(f"{name} is {found}, not {directory}: use scripts/test")
    # The handler names whoever has logged in to run the tests, and the tests know no such person.
    os.environ.pop("SUDO_USER", None)
    with suppress(OSError):
        Path("/proc/self/loginuid").write_text("4294967295")


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host of its own for one test, with the VIP on lo."""
    # The packages must not be imported before pytest_configure has said whose they are.
    from tests.support.namespace import namespace

    try:
        with namespace() as made:
            yield made
    except PermissionError as error:
        pytest.skip(str(error))
