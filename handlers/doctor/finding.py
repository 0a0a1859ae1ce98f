"""What `doctor` finds, and what an examination is given to find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from anycast_checks.line import clean
from anycast_checks.routing.daemon import RoutingState

from ..activators._activator import Activator
from ..endpoint.look import Look
from ..endpoint.site import Site
from ..fleet.values import Endpoint, Vip
from ..gate.allowed import Allowed


@dataclass(frozen=True)
class Finding:
    """A fault that would matter at night, and its remedy; a hint is about one that may not."""

    endpoint: str
    text: str
    remedy: str = ""
    is_hint: bool = False

    def __str__(self) -> str:
        """Write the line that `doctor` prints."""
        hint = "hint: " if self.is_hint else ""
        remedy = f": {self.remedy}" if self.remedy else ""
        return clean(f"{self.endpoint}: {hint}{self.text}{remedy}", 900)


@dataclass(frozen=True)
class Subject:
    """One VIP on one endpoint, and what the endpoint has answered; None where it has not.

    ``name`` is its name in findings, ``user`` the handler's account on the endpoint. ``needed``
    lists what this account must be able to do.
    """

    name: str
    user: str
    vip: Vip
    endpoint: Endpoint
    site: Site
    look: Look | None = None
    activator: Activator | None = None
    routing: RoutingState | None = None
    needed: Callable[[], Allowed] | None = None

    @property
    def gate_remedy(self) -> str:
        """Say how the endpoint gets the closed list that the handler needs."""
        names = [vip.name for vip in (self.vip, *self.site.siblings)]
        return f"install what `anycast-handler gate --only allow {' '.join(names)}` prints"

    def found(self, text: str, remedy: str) -> Finding:
        """Make a finding of this subject."""
        return Finding(self.name, text, remedy)

    def hint(self, text: str, remedy: str) -> Finding:
        """Make a hint of this subject."""
        return Finding(self.name, text, remedy, is_hint=True)


class Examined(NamedTuple):
    """What was found on one endpoint; ``trouble`` says why not every examination could be made."""

    name: str
    findings: list[Finding]
    subject: Subject | None = None
    trouble: str = ""


Examination = Callable[[Subject], Iterator[Finding]]
