"""The examinations of what the handler's account may do on an endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..endpoint.change import HELPER
from ..endpoint.latch import DIRECTORY
from ..gate.files import ALLOW, blocks_of
from ..transport.shell import NOT_FOUND, Argv
from .finding import Examination, Finding, Subject

IS_EXECUTABLE: Argv = ("/usr/bin/test", "-x", HELPER)
IS_WRITABLE: Argv = ("/usr/bin/test", "-w", DIRECTORY)
SUDO_RULES: Argv = ("/usr/bin/sudo", "-n", "-l")
SUDO_RULE = re.compile(r"^\s+\(.*$", re.MULTILINE)


def sudo_question(argv: Argv) -> Argv:
    """Build the command that asks whether sudo would run another one, without running it."""
    return (*SUDO_RULES, *argv)


def sudo_rights(subject: Subject) -> Iterator[Finding]:
    """Find that sudo would refuse the helper, by which every change is made."""
    shell = subject.site.shell
    if shell.is_root:
        return
    status = shell.run(sudo_question((HELPER,))).status
    if status == NOT_FOUND:
        yield subject.found("there is no /usr/bin/sudo", "install sudo")
    elif status != 0:
        yield subject.found(
            f"sudo does not allow `{HELPER}`",
            f"allow it to {subject.user} in sudoers, with NOPASSWD",
        )


def helper(subject: Subject) -> Iterator[Finding]:
    """Find an endpoint without the helper, by which every change is made."""
    if subject.site.shell.run(IS_EXECUTABLE).status != 0:
        yield subject.found(
            f"{HELPER} is missing or not executable: nothing can be withdrawn",
            "install what `anycast-handler gate --only act` prints, for root, with mode 755",
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
    """Find commands that the endpoint's closed list lacks, including those of the acts."""
    listed = subject.site.shell.run(("/bin/cat", ALLOW)).stdout
    if not listed or subject.needed is None:
        return
    missing = [block for block in blocks_of(subject.needed()) if block not in listed]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        line = missing[0].split("\n")[0].partition(" ")[2]
        yield subject.found(f"{ALLOW} lacks `{line}`{more}", subject.gate_remedy)


def latch_directory(subject: Subject) -> Iterator[Finding]:
    """Find a latch directory that is missing or not writable."""
    if subject.site.shell.run(IS_WRITABLE).status != 0:
        yield subject.found(
            f"{DIRECTORY} is missing or not writable: no automatic restores, no holds",
            f"install -d -o {subject.user} -m 755 {DIRECTORY}",
        )


ACCESS_EXAMINATIONS: tuple[Examination, ...] = (
    helper,
    sudo_rights,
    sudo_passwords,
    gate_list,
    latch_directory,
)
