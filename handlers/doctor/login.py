"""The examinations of the login on an endpoint, and of how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..endpoint.change import LEAST_LATE_SECONDS, NOTE_SECONDS, TRIES_SECONDS
from ..operation.parts import LOOK_SECONDS
from ..transport.clock import RUN_SECONDS
from ..transport.shell import NOT_FOUND, Argv
from .finding import Finding, HostExamination, Subject
from .service import confirmation_seconds

HOST_NAME: Argv = ("/bin/uname", "-n")
# Exit status of a shell that may not execute the program.
NOT_EXECUTABLE = 126
# An act needs this time: the latch, the command with its fallback, and the look afterwards.
ACT_SECONDS = NOTE_SECONDS + TRIES_SECONDS + LOOK_SECONDS + LEAST_LATE_SECONDS
# Before a run acts it looks, which is the first question, and then counts and confirms.
QUESTIONS = 2


def login(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find an account that can log in and not run commands."""
    subject = subjects[0]
    user, ended = subject.user, subject.site.shell.run(HOST_NAME)
    said = [line for line in (ended.stdout or ended.stderr).splitlines() if line.strip()]
    why = said[0] if said else f"it ends with exit status {ended.status}"
    if ended.status in (NOT_EXECUTABLE, NOT_FOUND):
        yield subject.found("the forced command there cannot be run", subject.install(), why)
    elif ended.status != 0:
        yield subject.found(
            f"the login shell of {user} runs no commands",
            f"`usermod -s /bin/sh {user}` there; or see what `chage -l {user}` says",
            why,
        )
    elif len(said) > 1:
        yield subject.found(
            f"the login shell of {user} prints a text of its own with each command",
            f"`usermod -s /bin/sh {user}` there; or see which file of the shell prints it",
            said[0],
        )


def distance(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find an endpoint where login and questions take too long to act within the run.

    The other questions would take too long as well.
    """
    subject = subjects[0]
    login_seconds, question = subject.login_seconds, subject.question_seconds
    check = max(confirmation_seconds(one.vip) for one in subjects)
    needed = check + ACT_SECONDS
    if needed < RUN_SECONDS < login_seconds + QUESTIONS * question + needed:
        yield subject.found(
            f"it is too slow or too far away to act on it within {RUN_SECONDS:g} s",
            "see what is slow there, or let a monitoring host act that is nearer",
            f"the first answer takes {login_seconds:.1f} s, each other one {question:.1f} s",
        )


def certificate(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find a host whose certificate expires soon: after that nobody can act there.

    Certificates that were signed together expire together, and the guards count on the others.
    """
    subject = subjects[0]
    if when := subject.site.shell.expiring:
        yield subject.found(
            "the certificate of its host key expires soon",
            "have the host key signed anew, and reload sshd there",
            f"it {when}",
        )


# Where one of these finds something, nothing else can be found.
LOGIN_EXAMINATIONS: tuple[HostExamination, ...] = (login, distance)
