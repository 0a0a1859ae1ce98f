"""Tell a refusal by the endpoint's forced command from the failure of a command."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import GateRefusedError
from .shell import COMMAND_SECONDS, Hear, Query, Reply, Result, Shell, Stream, ask_in_turn

STATUS = 126
UNRESOLVED = "sudo: unable to resolve host"
SAYS = ("anycast-gate: refused", "anycast-act: refused")


class GatedShell:
    """A shell that raises an error where the forced command refuses a command."""

    def __init__(self, shell: Shell) -> None:
        self.is_root = shell.is_root
        self.distance, self.expiring = shell.distance, shell.expiring
        self._shell = shell

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run. Raises: GateRefusedError, if refused."""
        ended = self._shell.run(argv, stdin, timeout)
        if is_refused(ended):
            raise GateRefusedError(argv)
        return ended

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run queries one after the other, so that a refusal of any is raised."""
        return ask_in_turn(self, queries)

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Start a command that goes on; see Shell.stream."""
        return self._shell.stream(argv, hear)


def is_refused(ended: Result) -> bool:
    """Whether the forced command refused a command, or the helper refused a request."""
    return ended.status == STATUS and any(said in ended.stderr for said in SAYS)


def is_refused_by_sudo(ended: Result) -> bool:
    """Whether sudo refused to run a command.

    A program that sudo has run does not begin its complaint with the name of sudo. Where sudo looks
    up the name of its host in vain it says so, and runs the command.
    """
    said = (line for line in ended.stderr.splitlines() if not line.startswith(UNRESOLVED))
    return ended.status == 1 and any(line.startswith("sudo") for line in said)
