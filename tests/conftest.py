"""What long tests ask for."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take --all, which `scripts/test --all` hands on."""
    parser.addoption("--all", action="store_true", help="run the long forms of the tests too")
