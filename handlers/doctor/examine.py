"""Examine one endpoint with all its VIPs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from anycast_checks.routing.daemon import RoutingDaemon

from ..activators._choice import first_questions
from ..activators._evidence import evidence_argv
from ..endpoint.change import HELPER
from ..endpoint.look import look_questions
from ..endpoint.site import CLOCK, Site
from ..errors import GateRefusedError, HandlerError, UnreachableError
from ..fleet.values import Endpoint, Fleet, Vip
from ..routing.see import first_questions as first_routing_questions
from ..transport.clock import SYSTEM_CLOCK
from ..transport.shell import COMMAND_SECONDS, Query, Shell
from .access import QUESTIONS, SUDO_RULES, forced_command, sudo_question
from .closed_list import closed_blocks
from .examinations import EXAMINATIONS, HOST_EXAMINATIONS
from .finding import Examined, Finding, HostExamination, Subject
from .login import HOST_NAME, LOGIN_EXAMINATIONS
from .memory import Memory
from .names import FILES as NAME_FILES
from .names import USE_DNS
from .report import once_an_endpoint
from .routing import see_routing, weakness_questions
from .service import bind_questions, check_questions

T = TypeVar("T")
# What is asked in one command shares the time, of which a busy endpoint needs more then.
AHEAD_SECONDS = 2 * COMMAND_SECONDS


class Chosen(NamedTuple):
    """An endpoint that is to be examined, its name in findings, and its VIPs.

    In the part of the fleet file about one VIP the endpoint may have another name than elsewhere.
    """

    name: str
    members: tuple[tuple[Vip, Endpoint], ...]

    @property
    def endpoint(self) -> Endpoint:
        """Give the endpoint as the first of its VIPs has it."""
        return self.members[0][1]


def examine(
    fleet: Fleet,
    chosen: Chosen,
    shell: Shell,
    daemons: Sequence[RoutingDaemon],
    login_seconds: float = 0.0,
) -> Examined:
    """Examine one endpoint with its VIPs, changing nothing.

    Args:
        fleet: the fleet.
        chosen: the endpoint.
        shell: runs commands there.
        daemons: the routing daemons that may run there.
        login_seconds: how long the login took.
    """
    memory = Memory(shell)
    subjects = _subjects(fleet, chosen, memory)
    found: dict[str, list[Finding]] = {subject.vip.name: [] for subject in subjects}
    common: list[Finding] = []
    trouble = None
    try:
        subjects = _log_in(subjects, common, login_seconds)
        if not common:
            _ask_ahead(memory, subjects, daemons)
            subjects = [_examine_vip(one, daemons, found[one.vip.name]) for one in subjects]
            _examine_host((*HOST_EXAMINATIONS, forced_command), subjects, common)
    except UnreachableError as error:
        trouble = Finding(chosen.name, error.what, error.remedy)
    findings = [*once_an_endpoint(chosen.name, found), *common]
    return Examined(list(dict.fromkeys(findings)), tuple(subjects), trouble)


def _subjects(fleet: Fleet, chosen: Chosen, memory: Memory) -> list[Subject]:
    vips = tuple(vip for vip, _ in chosen.members)

    def needed() -> list[str]:
        return [block for vip in vips for block in closed_blocks(vip, as_root=memory.is_root)]

    def subject(vip: Vip, endpoint: Endpoint) -> Subject:
        site = Site(memory, vip, fleet.siblings(vip, endpoint))
        return Subject(
            chosen.name,
            fleet.ssh.user,
            vip,
            endpoint,
            site,
            vips,
            needed=needed,
            refused_by_gate=lambda: memory.refused_by_gate,
            refused_by_sudo=lambda: memory.refused_by_sudo,
        )

    return [subject(vip, endpoint) for vip, endpoint in chosen.members]


def _log_in(
    subjects: Sequence[Subject], common: list[Finding], login_seconds: float
) -> list[Subject]:
    """Ask the first questions, and measure the time that they take."""
    first, shell, began = subjects[0], subjects[0].site.shell, SYSTEM_CLOCK.monotonic()
    name = _ask(first, [], lambda: shell.run(HOST_NAME).stdout.strip()) or ""
    # The first question after a login takes longer than the others, and an act asks it too.
    login_seconds += SYSTEM_CLOCK.monotonic() - began
    began = SYSTEM_CLOCK.monotonic()
    _ask(first, [], lambda: shell.run(NAME_FILES))
    question = SYSTEM_CLOCK.monotonic() - began
    measured = [
        replace(one, calls_itself=name, login_seconds=login_seconds, question_seconds=question)
        for one in subjects
    ]
    _examine_host(LOGIN_EXAMINATIONS, measured, common)
    return measured


def _ask_ahead(
    memory: Memory, subjects: Sequence[Subject], daemons: Sequence[RoutingDaemon]
) -> None:
    """Ask most questions at the same time: each alone takes a session, or two long round trips.

    In one command none of them waits for sudo or a routing daemon, which come last. Without the
    forced command each takes a session, of which sshd has ten by default.
    """
    sudo = () if memory.is_root else (SUDO_RULES, sudo_question((HELPER,)))
    binds = bind_questions([one.vip for one in subjects])
    _ask_all(memory, map(_ahead, (*QUESTIONS, USE_DNS, *binds, *sudo)))
    for subject in subjects:
        vip = subject.vip
        routing = first_routing_questions(memory, vip, daemons, all_of_them=True)
        others = (*first_questions(vip), evidence_argv(vip), CLOCK, *(one.argv for one in routing))
        _ask_all(memory, (*look_questions(vip), *map(_ahead, others)))


def _ahead(argv: Sequence[str]) -> Query:
    return Query(argv, AHEAD_SECONDS)


def _ask_all(shell: Shell, queries: Iterable[Query]) -> None:
    # The examination that asks again gets the same reply, and tells of a refusal.
    with suppress(GateRefusedError):
        shell.ask_all(list(dict.fromkeys(queries)))


def _examine_vip(
    subject: Subject, daemons: Sequence[RoutingDaemon], found: list[Finding]
) -> Subject:
    look = _ask(subject, found, subject.site.look)
    subject = replace(subject, look=look)
    if choice := _ask(subject, found, subject.site.choice):
        subject = replace(subject, activator=choice.activator, why=choice.why)
    routing, trouble = _ask(subject, found, partial(see_routing, subject, daemons)) or (None, None)
    # Where sudo has refused the question, that is the finding.
    found += [trouble] if trouble and not subject.refused_by_sudo() else []
    subject = replace(subject, routing=routing)
    # Where the connection is lost now, what is known already is examined all the same.
    with suppress(UnreachableError):
        _ask_all(subject.site.shell, (*weakness_questions(subject), *check_questions(subject.vip)))
    for examination in EXAMINATIONS:
        found += _ask(subject, found, partial(list, examination(subject))) or []
    return subject


def _examine_host(
    examinations: Sequence[HostExamination], subjects: Sequence[Subject], common: list[Finding]
) -> None:
    for examination in examinations:
        common += _ask(subjects[0], common, partial(list, examination(subjects))) or []


def _ask(subject: Subject, found: list[Finding], question: Callable[[], T]) -> T | None:
    """Ask a question; where it cannot be answered, add a finding that says why."""
    try:
        return question()
    except UnreachableError:
        raise
    except GateRefusedError:
        return None  # gate_list tells of all refusals at once
    except HandlerError as error:
        remedy = error.remedy or f"run it there as {subject.user} to see why"
        found.append(subject.found(error.what, remedy))
        return None
