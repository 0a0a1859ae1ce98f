"""The examinations of the service on an endpoint."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ..decision.facts import State
from ..endpoint.check import confirmation
from ..endpoint.confirmation import confirm
from ..transport.shell import Argv
from .finding import Examination, Finding, Subject

NONLOCAL_BIND: Argv = ("/bin/cat", "/proc/sys/net/ipv4/ip_nonlocal_bind")


def own_check(subject: Subject) -> Iterator[Finding]:
    """Find a check that does not run on the endpoint, or does not say OK."""
    found = confirm(subject.site)
    if found.state is State.OK:
        return
    what = f"says {found.state.name}"
    if found.state is State.UNKNOWN:
        what = "cannot be run, or cannot tell, so nothing would ever be confirmed"
    yield subject.found(
        f"its own check {what} ({found.said})",
        f"run it there as {subject.user}: {shlex.join(confirmation(subject.vip))}",
    )


def nonlocal_bind(subject: Subject) -> Iterator[Finding]:
    """Hint at services that cannot be started while the VIP is withdrawn."""
    if subject.site.shell.run(NONLOCAL_BIND).stdout.strip() == "0":
        yield subject.hint(
            "net.ipv4.ip_nonlocal_bind is 0: a service that binds "
            f"{subject.vip.address} itself could not be started while it is withdrawn",
            "if yours does, set it to 1 there",
        )


SERVICE_EXAMINATIONS: tuple[Examination, ...] = (own_check, nonlocal_bind)
