"""The examinations of the service on an endpoint, and of the check that asks it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from anycast_checks.address import is_ipv6
from anycast_checks.line import clean
from anycast_checks.options import START_UP

from ..decision.facts import State
from ..endpoint.check import (
    check_seconds,
    confirmation,
    confirmation_at,
    instance_of,
    is_ours,
    shown,
    stream_of,
    try_seconds,
)
from ..endpoint.confirmation import confirm, confirm_instance
from ..errors import OutcomeUnknownError
from ..fleet.values import Vip
from ..transport.shell import NOT_FOUND, Argv, Query
from .finding import Examination, Finding, HostExamination, Subject

NONLOCAL_BIND: dict[str, Argv] = {
    family: ("/bin/cat", f"/proc/sys/net/{family}/ip_nonlocal_bind") for family in ("ipv4", "ipv6")
}
FIRST_LINE_SECONDS = 5.0
# The first line of a stream has this in it, by docs/checks.rst.
FORMAT = '"stream":1,'


def check_questions(vip: Vip) -> list[Query]:
    """List the checks that are run there, for whoever asks them at once.

    Their time is that of a question. A check that takes longer is asked again, with all of its
    time.
    """
    instance = instance_of(vip)
    at = [confirmation_at(vip, instance)] if instance else []
    return [Query(argv) for argv in (confirmation(vip), *at)]


def own_check(subject: Subject) -> Iterator[Finding]:
    """Find a check that does not run on the endpoint, or does not say OK."""
    argv, found = confirmation(subject.vip), confirm(subject.site)
    if found.state is State.OK:
        return
    what = f"says {found.state.name}"
    command = shown(argv)
    by_hand = f"run it there as {subject.user}: `{command}`"
    if command != shlex.join(argv):
        by_hand += f" with the options of vip.{subject.vip.name}.check"
    if found.state is State.UNKNOWN:
        what = "cannot be run, or cannot tell, so nothing would ever be confirmed"
        if _is_missing(subject, argv):
            by_hand = "install the package on this endpoint too, or mend the path in the fleet file"
    yield subject.found(f"its own check {what}", by_hand, found.said)


def instance(subject: Subject) -> Iterator[Finding]:
    """Find a service that does not answer on the address that is asked once the VIP is withdrawn.

    The question is made in any case, so that it is in the closed list.
    """
    address = instance_of(subject.vip)
    if address is None:
        return
    found = confirm_instance(subject.site, address)
    is_up = subject.look is not None and subject.look.present
    if found.state is State.OK or not is_up:
        return
    # Otherwise the service itself is the cause, which is a finding already.
    if confirm(subject.site).state not in {State.OK, State.WARNING} - {found.state}:
        return
    yield subject.found(
        f"a recovery could not be confirmed, as the service fails on {address}",
        f"let it answer on {address} too, or give the check in the fleet file an --instance "
        "address on which it does",
        found.said,
    )


def stream(subject: Subject) -> Iterator[Finding]:
    """Find a check that does not go on asking, as it has to where the endpoint is watched."""
    argv = stream_of(subject.vip)
    if argv is None or confirm(subject.site).state is State.UNKNOWN:
        return
    said = _first_line(subject, argv)
    if not said or FORMAT in said:
        return  # where it says nothing, the gate is the cause
    yield subject.found(
        "its own check does not go on asking, so it cannot be watched",
        "install this version of the package on this endpoint too",
        clean(said),
    )


def _first_line(subject: Subject, argv: Argv) -> str:
    heard: SimpleQueue[str | None] = SimpleQueue()
    try:
        opened = subject.site.shell.stream(argv, heard.put)
    except OutcomeUnknownError as error:
        return error.why
    try:
        return heard.get(timeout=FIRST_LINE_SECONDS) or opened.trouble
    except Empty:
        return f"nothing within {FIRST_LINE_SECONDS:g} s"
    finally:
        opened.close()


def bind_questions(vips: Iterable[Vip]) -> list[Argv]:
    """List what `nonlocal_bind` asks."""
    return [NONLOCAL_BIND[family] for family in sorted(set(map(_family, vips)))]


def nonlocal_bind(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Hint at services that cannot be started while the VIP is withdrawn."""
    for family in sorted({_family(one.vip) for one in subjects}):
        name = f"net.{family}.ip_nonlocal_bind"
        if subjects[0].site.shell.run(NONLOCAL_BIND[family]).stdout.strip() == "0":
            yield subjects[0].hint(
                f"{name} is 0: a service that binds the VIP itself could not be started while it "
                "is withdrawn",
                f"if yours does: `sysctl -w {name}=1` there, and in /etc/sysctl.d",
            )
            if any(one.vip.drain and is_ipv6(one.vip.address) for one in subjects):
                yield from _silence(subjects[0], family)


def _silence(subject: Subject, family: str) -> Iterator[Finding]:
    """Hint at services of IPv6 that the kernel lets send nothing from an absent address."""
    if family == "ipv6":
        name = "net.ipv6.ip_nonlocal_bind"
        yield subject.hint(
            f"{name} is 0: a service that answers UDP from a socket for all addresses could send "
            "nothing from the VIP while it drains",
            f"if yours does: `sysctl -w {name}=1` there, and in /etc/sysctl.d",
        )


def _family(vip: Vip) -> str:
    return "ipv6" if is_ipv6(vip.address) else "ipv4"


SERVICE_EXAMINATIONS: tuple[Examination, ...] = (own_check, instance, stream)
SYSTEM_EXAMINATIONS: tuple[HostExamination, ...] = (nonlocal_bind,)


def confirmation_seconds(vip: Vip) -> float:
    """Give the seconds after which the confirmation of a silent service has ended."""
    deadline = check_seconds(confirmation(vip))
    if is_ours(vip.check):
        with suppress(ValueError):
            return min(deadline, try_seconds(vip.check) + START_UP)
    return deadline


def _is_missing(subject: Subject, argv: Argv) -> bool:
    try:
        # The endpoint has been asked this already, and its reply is remembered.
        return subject.site.shell.run(argv).status == NOT_FOUND
    except OutcomeUnknownError:
        return False
