"""Examine one endpoint: every examination, in the order in which findings are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from anycast_checks.routing.daemon import RoutingDaemon

from ..errors import GateRefusedError, HandlerError, UnreachableError
from .access import ACCESS_EXAMINATIONS
from .finding import Examination, Examined, Finding, Subject
from .routing import ROUTING_EXAMINATIONS, see_routing
from .service import SERVICE_EXAMINATIONS
from .whereabouts import PLACE_EXAMINATIONS, notes

T = TypeVar("T")

# A new examination is a function in the file of its topic, and a line in the list there.
EXAMINATIONS: tuple[Examination, ...] = (
    *PLACE_EXAMINATIONS,
    *ROUTING_EXAMINATIONS,
    *ACCESS_EXAMINATIONS,
    notes,
    *SERVICE_EXAMINATIONS,
)


def examine(subject: Subject, daemons: Sequence[RoutingDaemon]) -> Examined:
    """Examine one endpoint, changing nothing; ``daemons`` are those that may run there."""
    found: list[Finding] = []

    def ask(question: Callable[[], T]) -> T | None:
        try:
            return question()
        except UnreachableError:
            raise
        except HandlerError as error:
            found.append(_explain(subject, error))
            return None

    try:
        site = subject.site
        subject = replace(subject, look=ask(site.look), activator=ask(site.activator))
        routing, trouble = ask(partial(see_routing, subject, daemons)) or (None, None)
        subject = replace(subject, routing=routing)
        found += [trouble] if trouble else []
        for examination in EXAMINATIONS:
            found += ask(partial(_list, examination, subject)) or []
    except UnreachableError as error:
        return Examined(subject.name, found, subject, str(error))
    # Several examinations may fail for the same reason, which is said once.
    return Examined(subject.name, list(dict.fromkeys(found)), subject)


def _list(examination: Examination, subject: Subject) -> list[Finding]:
    return list(examination(subject))


def _explain(subject: Subject, error: HandlerError) -> Finding:
    if isinstance(error, GateRefusedError):
        return subject.found(error.what, subject.gate_remedy)
    return subject.found(error.what, error.remedy or f"run it there as {subject.user} to see why")
