"""How the routing daemon of an endpoint is asked: as root, by sudo, or as a member of its group."""

from __future__ import annotations

import pytest
from anycast_handlers.errors import GateRefusedError, OutcomeUnknownError
from anycast_handlers.routing.ask import asking, existence
from anycast_handlers.transport.refusal import GatedShell
from anycast_handlers.transport.shell import Result

from anycast_checks.errors import NotStartedError
from anycast_checks.routing.daemon import Question
from tests.support.shell import FakeShell

QUESTION = Question(("/usr/bin/vtysh", "-c", "show"), ("/usr/bin/sudo", "-n", "/helper", "show"))
DIRECT, BY_SUDO = tuple(QUESTION), QUESTION.by_sudo
ANSWER = Result(0, "answer\n", "")
NO_RULE = Result(1, "", "sudo: a password is required\n")
REFUSED = Result(126, "", "anycast-gate: refused: /usr/bin/...\n")
CLOSED = Result(1, "", "Exiting: failed to connect to any daemons.\n")


@pytest.mark.parametrize(
    ("direct", "by_sudo", "answer", "asked"),
    [
        (None, ANSWER, ANSWER, [BY_SUDO]),
        (None, CLOSED, CLOSED, [BY_SUDO]),
        (ANSWER, NO_RULE, ANSWER, [BY_SUDO, DIRECT]),
        (CLOSED, NO_RULE, NO_RULE, [BY_SUDO, DIRECT]),
        (REFUSED, NO_RULE, NO_RULE, [BY_SUDO, DIRECT]),
        (ANSWER, REFUSED, ANSWER, [BY_SUDO, DIRECT]),
    ],
    ids=["gate", "gate-no-daemon", "group", "no-right", "gate-no-right", "old-list"],
)
def test_sudo_is_asked_first_and_the_group_still_counts(
    direct: Result | None, by_sudo: Result, answer: Result, asked: list[tuple[str, ...]]
) -> None:
    answers = {BY_SUDO: by_sudo} | ({DIRECT: direct} if direct else {})
    shell = FakeShell(answers, is_root=False)
    assert asking(GatedShell(shell))([QUESTION]) == [answer]
    assert [one.argv for one in shell.asked] == asked


def test_a_list_without_either_is_a_refusal() -> None:
    shell = FakeShell({BY_SUDO: REFUSED, DIRECT: REFUSED}, is_root=False)
    (told,) = asking(GatedShell(shell))([QUESTION])
    assert isinstance(told, GateRefusedError)
    assert told.argv == BY_SUDO


def test_of_several_questions_only_those_are_refused_that_the_list_lacks() -> None:
    known = Question(("/usr/bin/birdc",), ("/usr/bin/sudo", "-n", "/other"))
    answers = {BY_SUDO: REFUSED, DIRECT: REFUSED, known.by_sudo: ANSWER}
    for shell in (FakeShell(answers, is_root=False), GatedShell(FakeShell(answers, is_root=False))):
        refused, answered = asking(shell)([QUESTION, known])
        assert answered == ANSWER
        assert refused == REFUSED or isinstance(refused, GateRefusedError), refused


def test_a_helper_that_is_missing_is_told_from_one_that_sudo_refuses() -> None:
    missing = Result(127, "", "sh: 1: /helper: not found\n")
    shell = FakeShell({BY_SUDO: NO_RULE, DIRECT: missing}, is_root=False)
    assert asking(shell)([QUESTION]) == [missing]


PROGRAMS = ("/usr/sbin/daemonc", "/usr/bin/daemonc")
MISSING = "".join(f"ls: cannot access '{one}': No such file or directory\n" for one in PROGRAMS)


@pytest.mark.parametrize(
    ("shown", "is_missing"),
    [
        (Result(2, "", MISSING), True),
        (Result(2, f"{PROGRAMS[1]}\n", MISSING.splitlines()[0]), False),
        (Result(127, "", "sh: 1: /bin/ls: not found\n"), False),
        (REFUSED, False),
        (OutcomeUnknownError(BY_SUDO, "it did not end within 3 s"), False),
    ],
    ids=["missing", "there", "no-ls", "old-list", "hangs-too"],
)
def test_no_answer_is_none_of_a_daemon_that_is_not_there(
    shown: Result | Exception, *, is_missing: bool
) -> None:
    """As where sudo hangs; whether the daemon is there can be seen without sudo."""
    question = Question(tuple(QUESTION), BY_SUDO, programs=PROGRAMS)
    hangs = OutcomeUnknownError(BY_SUDO, "it did not end within 3 s")
    shell = FakeShell({BY_SUDO: hangs, existence(question): shown}, is_root=False)
    (told,) = asking(GatedShell(shell))([question])
    assert isinstance(told, NotStartedError) if is_missing else told is hangs


def test_root_asks_directly() -> None:
    shell = FakeShell({DIRECT: ANSWER}, is_root=True)
    assert asking(shell)([QUESTION]) == [ANSWER]
