"""A refusal of the endpoint's forced command, which is not the failure of what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import HandlerError
from ..shell import COMMAND_SECONDS, Result, Shell

STATUS, SAYS = 126, "anycast-gate: refused"


class GateRefused(HandlerError):  # noqa: N818 - says what it is
    """The forced command of the endpoint does not know a command that the handler needs."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.what = f"the forced command there refuses `{' '.join(argv)}`"
        # The command last, since it is what may be cut off.
        super().__init__(f"install anew what `anycast-handler gate` prints: {self.what}")


class GatedShell:
    """A shell that tells a refusal from a command's failure."""

    def __init__(self, shell: Shell) -> None:
        self.is_root = shell.is_root
        self._shell = shell

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run, and raises GateRefused."""
        ended = self._shell.run(argv, stdin, timeout)
        if is_refused(ended):
            raise GateRefused(argv)
        return ended


def is_refused(ended: Result) -> bool:
    """Whether a command was not let through."""
    return ended.status == STATUS and SAYS in ended.stderr
