"""What `doctor` finds, and what an examination is given to find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingState

from ..activators._activator import Activator
from ..endpoint.look import Look
from ..endpoint.site import Site
from ..fleet.values import Endpoint, Vip
from ..transport.shell import Argv

# The remedy where a login ends without a reason. The host or its sshd may be down; sshd may wait
# for a name server, limit the number of logins, or refuse a client that failed before.
SEE_SSHD = (
    "see that the host is up, and that sshd listens there and lets this host in (in sshd_config "
    "see UseDNS, MaxStartups and PerSourcePenaltyExemptList)"
)


@dataclass(frozen=True)
class Finding:
    """A fault that would matter at night, and its remedy; a hint is about one that may not.

    ``about`` names what it is about: an endpoint, or a key of the fleet file. ``seen`` is what a
    program has said, which may differ each time although the finding is the same.
    """

    about: str
    text: str
    remedy: str = ""
    is_hint: bool = False
    seen: str = field(default="", compare=False)


@dataclass(frozen=True)
class Subject:
    """One VIP on one endpoint, and what the endpoint has answered; None where it has not.

    ``name`` is its name in findings, ``user`` the handler's account on the endpoint, ``vips`` are
    all VIPs that are examined there. ``why`` tells why it is that activator. ``calls_itself`` is
    the endpoint's own host name, empty where it is not known. The seconds are those that the login
    and one question took. ``needed`` lists the blocks of the closed list for all VIPs, and the
    last two list what was refused until now.
    """

    name: str
    user: str
    vip: Vip
    endpoint: Endpoint
    site: Site
    vips: tuple[Vip, ...]
    look: Look | None = None
    activator: Activator | None = None
    why: str = ""
    routing: RoutingState | None = None
    calls_itself: str = ""
    login_seconds: float = 0.0
    question_seconds: float = 0.0
    needed: Callable[[], Sequence[str]] = tuple
    refused_by_gate: Callable[[], Sequence[Argv]] = tuple
    refused_by_sudo: Callable[[], Sequence[Argv]] = tuple

    def install(self) -> str:
        """Say how the endpoint gets what the handler needs there, for all its VIPs."""
        others = [vip for vip in self.site.siblings if vip not in self.vips]
        names = sorted(vip.name for vip in (*self.vips, *others))
        return f"`anycast-handler gate {' '.join(names)} --install root@{self.endpoint.address}`"

    def found(self, text: str, remedy: str, seen: str = "") -> Finding:
        """Make a finding of this subject."""
        return Finding(self.name, text, remedy, seen=seen)

    def hint(self, text: str, remedy: str) -> Finding:
        """Make a hint of this subject."""
        return Finding(self.name, text, remedy, is_hint=True)


class Examined(NamedTuple):
    """What was found on one endpoint; ``trouble`` says why not every examination could be made."""

    findings: list[Finding]
    subjects: tuple[Subject, ...] = ()
    trouble: Finding | None = None


Examination = Callable[[Subject], Iterator[Finding]]
# Examines what the VIPs of an endpoint have in common; the subjects differ only in their VIP.
HostExamination = Callable[[Sequence[Subject]], Iterator[Finding]]
