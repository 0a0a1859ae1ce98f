"""Run a check in this process, and read what it printed as an engine would."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from anycast_checks.command import run_check
from anycast_checks.run import CheckRun
from tests.namespace import Namespace, namespace


@dataclass(frozen=True)
class Printed:
    """The output of a check, taken apart."""

    code: int
    output: str
    line: str = field(init=False)
    text: str = field(init=False)
    perfdata: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        line = self.output.split("\n")[0]
        text, _, perfdata = line.partition(" | ")
        object.__setattr__(self, "line", line)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "perfdata", dict(x.split("=", 1) for x in shlex.split(perfdata)))
        assert len(line) <= 200
        assert re.fullmatch(r"[ -~]*", line)
        assert line.count("|") <= 1


Ask = Callable[..., Printed]


@pytest.fixture
def ask() -> Ask:
    """Run a subcommand with these arguments, without exit boundary and deadline."""

    def once(*arguments: object) -> Printed:
        return Printed(*run_check([str(argument) for argument in arguments], CheckRun()))

    return once


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host of its own for one test, with the VIP on lo."""
    try:
        with namespace() as made:
            yield made
    except PermissionError as error:
        pytest.skip(str(error))
