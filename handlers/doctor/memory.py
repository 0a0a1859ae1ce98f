"""A shell that asks each question once, and remembers what was refused."""

from __future__ import annotations

from collections.abc import Sequence

from anycast_checks.routing.daemon import Question

from ..endpoint.site import SUDO
from ..errors import GateRefusedError, OutcomeUnknownError
from ..transport.refusal import GatedShell, is_refused, is_refused_by_sudo
from ..transport.shell import (
    COMMAND_SECONDS,
    Argv,
    Query,
    Reply,
    Result,
    Shell,
    ask,
    ask_in_turn,
)


class Memory(GatedShell):
    """Asks an endpoint each question once, since its VIPs have most questions in common.

    Nothing is fed to a question, and none changes anything, so the first reply is good for all. A
    question without a reply is asked again by who waits longer, as an act does for the notes.
    """

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._replies: dict[Argv, Reply | GateRefusedError] = {}
        # The seconds after which a question was given up.
        self._given_up: dict[Argv, float] = {}
        # Questions that are asked without sudo where sudo refuses; the gate need not know them.
        self._second_tries: set[Argv] = set()

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Ask, or give the reply of the first time; see GatedShell.run."""
        asked = tuple(argv)
        if isinstance(argv, Question) and argv.by_sudo:
            self._second_tries.add(asked)
        query = Query(asked, timeout)
        if self._is_new(query):
            self._remember(query, ask(self._shell, query))
        reply = self._replies[asked]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Ask at the same time what was not asked before; a refusal of any is raised."""
        new = [query for query in queries if self._is_new(query)]
        for query, reply in zip(new, self._shell.ask_all(new) if new else (), strict=True):
            self._remember(query, reply)
        return ask_in_turn(self, queries)

    def _is_new(self, query: Query) -> bool:
        argv = tuple(query.argv)
        return argv not in self._replies or query.timeout > self._given_up.get(argv, query.timeout)

    def _remember(self, query: Query, reply: Reply) -> None:
        argv = tuple(query.argv)
        self._given_up.pop(argv, None)
        if isinstance(reply, OutcomeUnknownError):
            self._given_up[argv] = query.timeout
        refused = isinstance(reply, Result) and is_refused(reply)
        self._replies[argv] = GateRefusedError(argv) if refused else reply

    @property
    def refused_by_gate(self) -> list[Argv]:
        """List what the forced command has refused."""
        refused = [a for a, said in self._replies.items() if isinstance(said, GateRefusedError)]
        return [argv for argv in refused if argv not in self._second_tries]

    @property
    def refused_by_sudo(self) -> list[Argv]:
        """List what sudo has refused to run, without the `sudo -n` in front."""
        asked = [(argv, said) for argv, said in self._replies.items() if argv[:2] == SUDO]
        return [argv[2:] for argv, said in asked if _is_refused(said) and argv[2] != "-l"]


def _is_refused(said: Result | Exception) -> bool:
    return isinstance(said, Result) and is_refused_by_sudo(said)
