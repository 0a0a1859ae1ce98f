"""The examinations of what the handler's account may do on an endpoint."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress

from anycast_checks.address import Locality, locality

from ..endpoint.change import HELPER
from ..endpoint.latch import DIRECTORY
from ..errors import GateRefusedError
from ..gate.files import ALLOW, CHECK_ALLOW, GATE, NRPE, SEVERAL
from ..transport.shell import NOT_FOUND, Argv
from ..transport.together import ASK
from .finding import Finding, HostExamination, Subject

IS_EXECUTABLE: Argv = ("/usr/bin/test", "-x", HELPER)
IS_WRITABLE: Argv = ("/usr/bin/test", "-w", DIRECTORY)
SUDO_RULES: Argv = ("/usr/bin/sudo", "-n", "-l")
LISTS_READABLE: Argv = ("/usr/bin/stat", "-L", "-c", "%a %n", ALLOW, CHECK_ALLOW, NRPE)
GROUPS: Argv = ("/usr/bin/id", "-nG")
GATE_LIST: Argv = ("/bin/cat", ALLOW)
# The forced command alone knows the first of these, and refuses the second: it is on no list.
IS_BEHIND_GATE: Argv = (ASK, "0", shlex.join(GROUPS))
IS_GATE_THERE: Argv = ("/usr/bin/test", "-x", GATE)
# The groups that may configure FRR, Quagga and BIRD, and what else their members may do by that.
ROUTING_GROUPS = {
    "bird": "configure BIRD",
    "frrvty": "by the daemon's log become root",
    "quaggavty": "by the daemon's log become root",
}
SUDO_RULE = re.compile(r"^\s+\(.*$", re.MULTILINE)
LONGEST_COMMAND = 60
# These are asked in any case, so that they may be asked at the same time.
QUESTIONS: tuple[Argv, ...] = (IS_EXECUTABLE, IS_WRITABLE, LISTS_READABLE, GROUPS, GATE_LIST)


def sudo_question(argv: Argv) -> Argv:
    """Build the command that asks whether sudo would run another one, without running it."""
    return (*SUDO_RULES, *argv)


def sudo_rights(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find what sudo would refuse, or has refused, and tell it once: one file allows all of it."""
    subject = subjects[0]
    shell, user = subject.site.shell, subject.user
    if shell.is_root:
        return
    ended = shell.run(SUDO_RULES)
    if ended.status == NOT_FOUND:
        yield subject.found("there is no /usr/bin/sudo", "install sudo")
        return
    if ended.status != 0:
        said = (ended.stderr.strip() or f"exit status {ended.status}").splitlines()[-1]
        yield subject.found(f"sudo runs nothing for {user}", subject.install(), said)
        return
    is_allowed = shell.run(sudo_question((HELPER,))).status == 0
    # sudo allows no program that is not there, which is a finding already.
    lacks: list[Argv] = [] if is_allowed or not _has_helper(subject) else [(HELPER,)]
    if missing := [*lacks, *subject.refused_by_sudo()]:
        text = f"sudo does not allow {user} to run {_name_first(subject, missing)}"
        yield subject.found(text, subject.install())


def helper(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find an endpoint without the helper, by which every change is made."""
    if not _has_helper(subjects[0]):
        yield subjects[0].found(
            f"{HELPER} is missing or not executable: nothing can be withdrawn",
            subjects[0].install(),
        )


def _has_helper(subject: Subject) -> bool:
    return subject.site.shell.run(IS_EXECUTABLE).status == 0


def sudo_passwords(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Hint at rules of sudo that ask for a password, which `sudo -l COMMAND` does not tell."""
    subject = subjects[0]
    if subject.site.shell.is_root:
        return
    said = subject.site.shell.run(SUDO_RULES).stdout
    rules = SUDO_RULE.findall(said)
    with_password = [rule for rule in rules if "NOPASSWD:" not in rule or " PASSWD:" in rule]
    if with_password and "!authenticate" not in said:
        yield subject.hint(
            f"sudo asks {subject.user} for a password by `{with_password[0].strip()}`",
            "of the rules that match a command the last one counts: put those with NOPASSWD last",
        )


def gate_list(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find commands that the endpoint's closed list lacks, or that were refused, and tell it once.

    Those of the acts are examined too. This is the last examination of an endpoint.
    """
    subject = subjects[0]
    listed = ""
    with suppress(GateRefusedError):
        listed = subject.site.shell.run(GATE_LIST).stdout
    missing = [block for block in dict.fromkeys(subject.needed()) if block not in listed]
    if listed and missing:
        first = missing[0].split("\n")[0].partition(" ")[2]
        text = f"{ALLOW} lacks {_quote(subject, first, len(missing) - 1)}"
        yield subject.found(text, subject.install())
    elif listed and SEVERAL not in listed:
        text = "the forced command there is of an older version: each question takes longer"
        yield subject.hint(text, subject.install())
    elif refused := subject.refused_by_gate():
        text = f"the forced command there refuses {_name_first(subject, refused)}"
        yield subject.found(text, subject.install())


def forced_command(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find an account that is not behind the forced command, although that is installed there.

    Its questions must be on no closed list, so this is in no list of examinations. An endpoint
    without the forced command is as good, and a login that runs it is not refused anything.
    """
    subject = subjects[0]
    shell, endpoint = subject.site.shell, subject.endpoint
    if not endpoint.jump and locality(endpoint.address) is Locality.LOCAL:
        return  # nobody logs in to this very host
    if shell.run(IS_BEHIND_GATE).status != 0 and shell.run(IS_GATE_THERE).status == 0:
        yield subject.found(
            f"{GATE} is there, and {subject.user} is not behind it: its key may run anything",
            f"{subject.install()}; where a certificate logs in, see ssh.identity in "
            "docs/fleet-file.rst",
        )


def readable_lists(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find lists of commands, perhaps with the password of a check, that every user can read."""
    subject = subjects[0]
    for line in subject.site.shell.run(LISTS_READABLE).stdout.splitlines():
        mode, _, path = line.partition(" ")
        if mode[-1:] in "4567":
            yield subject.found(f"{path} is readable by everyone", subject.install())


def routing_groups(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find an account that may configure the routing daemon."""
    subject = subjects[0]
    for group in subject.site.shell.run(GROUPS).stdout.split():
        if power := ROUTING_GROUPS.get(group):
            yield subject.found(
                f"{subject.user} is in the group {group}, and may {power}", subject.install()
            )


def latch_directory(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find a latch directory that is missing or not writable."""
    subject = subjects[0]
    if subject.site.shell.run(IS_WRITABLE).status != 0:
        yield subject.found(
            f"{DIRECTORY} is missing or not writable: no automatic restores, no holds",
            f"`install -d -o {subject.user} -m 755 {DIRECTORY}` there",
        )


def _name_first(subject: Subject, missing: Sequence[Argv]) -> str:
    """Name the first of some commands, and say how many more there are."""
    return _quote(subject, shlex.join(missing[0]), len(missing) - 1)


def _quote(subject: Subject, line: str, more: int) -> str:
    # The options of a check may have a password, and what the doctor says goes into logs.
    for program in {vip.check[0] for vip in subject.vips if vip.check}:
        before, found, options = line.partition(program)
        line = f"{before}{found} ..." if options else line
    if len(line) > LONGEST_COMMAND:
        line = f"{line[:LONGEST_COMMAND].rsplit(' ', 1)[0]} ..."
    return f"`{line}`" + (f" and {more} more" if more else "")


ACCESS_EXAMINATIONS: tuple[HostExamination, ...] = (
    helper,
    sudo_rights,
    sudo_passwords,
    readable_lists,
    routing_groups,
    latch_directory,
)
