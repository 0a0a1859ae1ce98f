"""A shell that asks each question once, and remembers what was refused."""

from __future__ import annotations

from collections.abc import Sequence

from ..endpoint.site import SUDO
from ..errors import GateRefusedError, OutcomeUnknownError
from ..transport.refusal import GatedShell
from ..transport.shell import COMMAND_SECONDS, Argv, Result, Shell


class Memory(GatedShell):
    """Asks an endpoint each question once, since its VIPs have most questions in common.

    Nothing is fed to a question, and none changes anything, so the first reply is good for all.
    """

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._replies: dict[Argv, Result | GateRefusedError | OutcomeUnknownError] = {}

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Ask, or give the reply of the first time; see GatedShell.run."""
        asked = tuple(argv)
        if asked not in self._replies:
            try:
                self._replies[asked] = super().run(asked, stdin, timeout)
            except (GateRefusedError, OutcomeUnknownError) as error:
                self._replies[asked] = error
        reply = self._replies[asked]
        if isinstance(reply, Exception):
            raise reply
        return reply

    @property
    def refused_by_gate(self) -> list[Argv]:
        """List what the forced command has refused."""
        return [argv for argv, said in self._replies.items() if isinstance(said, GateRefusedError)]

    @property
    def refused_by_sudo(self) -> list[Argv]:
        """List what sudo has refused to run, without the `sudo -n` in front."""
        asked = [(argv, said) for argv, said in self._replies.items() if argv[:2] == SUDO]
        return [argv[2:] for argv, said in asked if _is_refused(said) and argv[2] != "-l"]


def _is_refused(said: Result | Exception) -> bool:
    # A program that sudo has run does not begin its complaint with the name of sudo.
    return isinstance(said, Result) and said.status == 1 and said.stderr.startswith("sudo")
