"""The examinations of one endpoint: each a function, and all of them in one list."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from anycast_checks.routing.daemon import RoutingDaemon

from ..decision.facts import State
from ..endpoint.confirmation import confirm
from ..endpoint.latch import DIRECTORY, UNREADABLE_HOLD, hold_path
from ..endpoint.site import confirmation
from ..errors import GateRefusedError, HandlerError, UnreachableError
from ..transport.shell import NOT_FOUND, Argv
from .finding import Examination, Examined, Finding, Subject
from .routing import ROUTING_EXAMINATIONS, see_routing

T = TypeVar("T")
IS_WRITABLE: Argv = ("/usr/bin/test", "-w", DIRECTORY)
SUDO_RULES: Argv = ("/usr/bin/sudo", "-n", "-l")
SUDO_RULE = re.compile(r"^\s+\(.*$", re.MULTILINE)
NONLOCAL_BIND: Argv = ("/bin/cat", "/proc/sys/net/ipv4/ip_nonlocal_bind")


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
    # One trouble may stand in the way of several examinations.
    return Examined(subject.name, list(dict.fromkeys(found)), subject)


def sudo_question(argv: Argv) -> Argv:
    """Build the command that asks whether sudo would run another one, without running it."""
    return (*SUDO_RULES, *argv)


def sudo_rights(subject: Subject) -> Iterator[Finding]:
    """Find the commands of the activator that sudo would refuse."""
    shell, activator, vip = subject.site.shell, subject.activator, subject.vip
    if shell.is_root or activator is None:
        return
    for argv in activator.commands(vip):
        status = shell.run(sudo_question(argv)).status
        if status == NOT_FOUND:
            yield subject.found("there is no /usr/bin/sudo", "install sudo")
            return
        if status != 0:
            yield subject.found(
                f"sudo does not allow `{shlex.join(argv)}`",
                f"allow it to {subject.user} in sudoers, with NOPASSWD",
            )


def sudo_passwords(subject: Subject) -> Iterator[Finding]:
    """Hint at rules of sudo that ask for a password, which `sudo -l COMMAND` does not tell."""
    if subject.site.shell.is_root:
        return
    said = subject.site.shell.run(SUDO_RULES).stdout
    rules = SUDO_RULE.findall(said)
    with_password = [rule for rule in rules if "NOPASSWD:" not in rule or " PASSWD:" in rule]
    if with_password and "!authenticate" not in said:
        yield subject.hint(
            f"sudo asks {subject.user} for a password by {with_password[0].strip()}",
            "of the rules that match a command the last one counts: put those with NOPASSWD last",
        )


def gate_list(subject: Subject) -> Iterator[Finding]:
    """Find commands that the endpoint's closed list lacks, the ones that change something too."""
    # It leads every examination through all its questions to write that list, this one included.
    from ..gate.allowed import commands
    from ..gate.files import ALLOW, block

    listed = subject.site.shell.run(("/bin/cat", ALLOW)).stdout
    if not listed:
        return
    needed = commands(subject.vip, as_root=subject.site.shell.is_root)
    missing = [command.line for command in needed if block(command) not in listed]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        yield subject.found(f"{ALLOW} lacks `{missing[0]}`{more}", _install_gate(subject))


def prefix_length(subject: Subject) -> Iterator[Finding]:
    """Find the VIP with another prefix length than its own, which is not what is counted."""
    vip = subject.vip
    wanted = vip.placement.prefix(vip.address)
    for one in sorted(subject.look.addresses if subject.look else ()):
        if one.address == vip.address and str(one) != wanted:
            yield subject.found(
                f"{one} on {one.interface} is not {wanted}",
                f"configure {vip.interface} with {wanted}, a single address",
            )


def interfaces(subject: Subject) -> Iterator[Finding]:
    """Find the VIP on other interfaces, where `ifdown lo:0` does not reach it."""
    look, vip = subject.look, subject.vip
    if look and look.elsewhere:
        also = "also " if look.announced else ""
        yield subject.found(
            f"{vip.address} is {also}on {', '.join(sorted(set(look.elsewhere)))}",
            f"take it off there: it belongs to {vip.interface} alone",
        )


def whereabouts(subject: Subject) -> Iterator[Finding]:
    """Say where the VIP is withdrawn, since much can then not be examined."""
    look, vip = subject.look, subject.vip
    if look and not look.announced and not look.elsewhere:
        yield subject.hint(
            f"{vip.address} is withdrawn, so how it is announced could not be examined",
            "examine it again once it is restored",
        )


def notes(subject: Subject) -> Iterator[Finding]:
    """Find notes that cannot be read, and a hold whose time is over."""
    look = subject.look
    remedy = f"let {subject.user} own what is in {DIRECTORY}, or remove that file"
    if look and look.hold_unknown:
        yield subject.found(look.trouble, "see why, on the endpoint")
    elif look and look.trouble:
        yield subject.found(look.trouble, remedy)
    if look and look.hold == UNREADABLE_HOLD:
        file = hold_path(subject.vip.address)
        yield subject.found(f"{file} cannot be read, which counts as a hold", remedy)
    elif look and look.hold and look.hold.until and look.hold.has_expired(subject.site.clock()):
        yield subject.found(
            f"the hold by {look.hold.by} has expired ({look.hold.reason})",
            f"anycast-handler release {subject.vip.name} {subject.endpoint.name}, or hold it anew",
        )


def latch_directory(subject: Subject) -> Iterator[Finding]:
    """Find a latch directory that is missing or not writable."""
    if subject.site.shell.run(IS_WRITABLE).status != 0:
        yield subject.found(
            f"{DIRECTORY} is missing or not writable: no automatic restores, no holds",
            f"install -d -o {subject.user} -m 755 {DIRECTORY}",
        )


def own_check(subject: Subject) -> Iterator[Finding]:
    """Find a check that does not run there, or does not say OK."""
    state, said = confirm(subject.site)
    if state is State.OK:
        return
    what = f"says {state.name}"
    if state is State.UNKNOWN:
        what = "cannot be run, or cannot tell, so nothing would ever be confirmed"
    yield subject.found(
        f"its own check {what} ({said})",
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


EXAMINATIONS: tuple[Examination, ...] = (
    whereabouts,
    prefix_length,
    interfaces,
    *ROUTING_EXAMINATIONS,
    sudo_rights,
    sudo_passwords,
    gate_list,
    latch_directory,
    notes,
    own_check,
    nonlocal_bind,
)


def _list(examination: Examination, subject: Subject) -> list[Finding]:
    return list(examination(subject))


def _explain(subject: Subject, error: HandlerError) -> Finding:
    if isinstance(error, GateRefusedError):
        return subject.found(error.what, _install_gate(subject))
    return subject.found(error.what, error.remedy or f"run it there as {subject.user} to see why")


def _install_gate(subject: Subject) -> str:
    names = [vip.name for vip in (subject.vip, *subject.site.siblings)]
    return f"install what `anycast-handler gate --only allow {' '.join(names)}` prints"
