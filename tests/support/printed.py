"""The output of a check, read in the way that an engine reads it."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Printed:
    """The output of a check, split into its parts."""

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
