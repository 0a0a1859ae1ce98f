"""The fixture that runs a check in the process of the tests."""

import pytest

from anycast_checks.command import run_check
from anycast_checks.run import CheckRun
from tests.support.printed import Ask, Printed


@pytest.fixture
def ask() -> Ask:
    """Run a subcommand with these arguments, without exit boundary and deadline."""

    def once(*arguments: object) -> Printed:
        return Printed(*run_check([str(argument) for argument in arguments], CheckRun()))

    return once
