"""Put a question to the routing daemon of an endpoint, by sudo where the account is not root."""

from __future__ import annotations

from contextlib import suppress

from anycast_checks.routing.daemon import Ask, Question

from ..errors import GateRefusedError
from ..transport.shell import Result, Shell


def asking(shell: Shell) -> Ask:
    """Give the function that asks through a shell; it raises what the shell raises."""

    def ask(question: Question) -> Result:
        if shell.is_root or not question.by_sudo:
            return shell.run(question)
        try:
            ended = shell.run(question.by_sudo)
        except GateRefusedError:
            # The closed list is from before an upgrade, and has the command without sudo.
            with suppress(GateRefusedError):
                return shell.run(question)
            raise
        if ended.status == 0 or "sudo" not in ended.stderr:
            return ended
        # Where sudo refuses, the account may still be in the daemon's group, as it once had to be.
        with suppress(GateRefusedError):
            direct = shell.run(question)
            if direct.status == 0 or direct.stdout.strip():
                return direct
        return ended

    return ask
