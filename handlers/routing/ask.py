"""Put questions to the routing daemons of an endpoint, by sudo where the account is not root."""

from __future__ import annotations

from collections.abc import Sequence

from anycast_checks.errors import NotStartedError
from anycast_checks.routing.daemon import Ask, Question

from ..errors import GateRefusedError, OutcomeUnknownError
from ..transport.refusal import is_refused_by_sudo
from ..transport.shell import NOT_FOUND, Argv, Query, Reply, Result, Shell, ask

Told = Reply | GateRefusedError | NotStartedError


def asking(shell: Shell) -> Ask:
    """Give the function that asks through a shell; raises only where nothing can be sent."""

    def ask_all(questions: Sequence[Question]) -> list[Told]:
        first = [command_of(shell, one) for one in questions]
        told = zip(questions, _ask_all(shell, first), strict=True)
        return [_second(shell, question, reply) for question, reply in told]

    return ask_all


def command_of(shell: Shell, question: Question) -> Argv:
    """Build the command that puts a question, by sudo where the account needs that."""
    return question.by_sudo if _is_by_sudo(shell, question) else tuple(question)


def existence(question: Question) -> Argv:
    """Build the command that tells whether the program that answers a question is there."""
    return ("/bin/ls", "-d", *question.programs)


def _is_by_sudo(shell: Shell, question: Question) -> bool:
    return bool(question.by_sudo) and not shell.is_root


def _ask_all(shell: Shell, commands: Sequence[Argv]) -> Sequence[Told]:
    if len(commands) > 1:
        try:
            return shell.ask_all([Query(argv, takes_long=True) for argv in commands])
        except GateRefusedError:
            pass  # It does not say which of them was refused.
    return [_ask(shell, argv) for argv in commands]


def _ask(shell: Shell, argv: Argv) -> Told:
    try:
        return ask(shell, Query(argv))
    except GateRefusedError as error:
        return error


def _second(shell: Shell, question: Question, told: Told) -> Told:
    """Ask without sudo where sudo, or the closed list of an older version, has refused.

    Where there was no answer, find out whether any could come: sudo may hang, and no such daemon be
    there at all.
    """
    if isinstance(told, OutcomeUnknownError) and _is_missing(shell, question):
        return NotStartedError(f"there is no {question.programs[0]}")
    is_refused = isinstance(told, GateRefusedError) or (
        isinstance(told, Result) and is_refused_by_sudo(told)
    )
    if not is_refused or not _is_by_sudo(shell, question):
        return told
    # The account may still be in the daemon's group, as it once had to be.
    direct = _ask(shell, question)
    if isinstance(direct, Result) and (direct.status in (0, NOT_FOUND) or direct.stdout.strip()):
        return direct
    return told


def _is_missing(shell: Shell, question: Question) -> bool:
    if not question.programs:
        return False
    told = _ask(shell, existence(question))
    if not isinstance(told, Result) or told.stdout.strip():
        return False
    return all(program in told.stderr for program in question.programs)
