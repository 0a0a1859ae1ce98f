"""The option --all, and assertions outside of test files that show what they saw."""

import pytest

pytest.register_assert_rewrite("tests.support", "tests.ssh", "tests.lab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --all, which `scripts/test --all` hands on."""
    parser.addoption("--all", action="store_true", help="run the long forms of the tests too")
