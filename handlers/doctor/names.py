"""The examinations of names: the endpoint's own name, and logins that wait for a name server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from ..errors import OutcomeUnknownError
from ..fleet.values import Fleet
from ..transport.shell import Argv
from .access import SUDO_RULES
from .finding import Finding, HostExamination, Subject

HOSTS, SWITCH, RESOLV = "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"
# The sudo of Debian and its relatives looks up the host's own name unless `!fqdn` is set.
DEBIAN = "/etc/debian_version"
FILES: Argv = ("/usr/bin/head", "-v", "-c", "250000", HOSTS, SWITCH, RESOLV, DEBIAN)
_SSHD = "/etc/ssh/sshd_config"
# The files of sshd are read, because sshd shows its settings to root only.
USE_DNS: Argv = ("/bin/grep", "-riHsE", "^[[:space:]]*UseDNS[[:space:]=]", _SSHD, f"{_SSHD}.d")
_HEADER = re.compile(r"^==> (\S+) <==$", re.MULTILINE)
_FQDN = re.compile(r"(?<![\w!])(!?)fqdn\b")


def own_name(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find a sudo that asks a name server for the endpoint's own name, and waits if it hangs."""
    subject = subjects[0]
    shell, name = subject.site.shell, subject.calls_itself
    files = _files(shell.run(FILES).stdout)
    rules, which = "", "a sudo without `!fqdn`"
    if not shell.is_root:
        # A sudo that waits already may be the very fault, and does not say whether it has `!fqdn`.
        with suppress(OutcomeUnknownError):
            status, rules, _ = shell.run(SUDO_RULES)
            which = "each sudo"
            if status != 0:
                return  # without any rule, which is a finding already
    if not name or HOSTS not in files or _is_known(name, files):
        return
    defaults = _FQDN.findall(rules)
    lacks = f"its own name {name} is not in {HOSTS}"
    remedy = f"add `127.0.1.1 {name}` to {HOSTS} there"
    if not shell.is_root and (defaults[-1] == "" if defaults else DEBIAN in files):
        yield _graded(subjects, files)(
            f"{lacks}, so {which} asks a name server for it, and waits where that hangs",
            f"{remedy}, or {subject.install()}",
        )
    elif DEBIAN in files and _asks_itself(subjects, files):
        yield subject.hint(f"{lacks}: a person's sudo there waits where its resolver hangs", remedy)


def use_dns(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Find an sshd that asks a name server about each client, and waits if it hangs."""
    shell = subjects[0].site.shell
    said = [line.partition(":") for line in shell.run(USE_DNS).stdout.splitlines()]
    files = _files(shell.run(FILES).stdout)
    # The directory is included at the top, and sshd takes the first value that it finds.
    for file, _, setting in sorted(said, key=lambda one: (one[0] == _SSHD, one[0])):
        if re.split(r"[\s=]+", setting.strip().lower())[1:2] == ["yes"]:
            yield _graded(subjects, files)(
                f"{file} has `UseDNS yes`, so each login asks a name server, "
                "and waits where that hangs",
                f"set `UseDNS no` in {file} there, and reload sshd",
            )
        return


NAME_EXAMINATIONS: tuple[HostExamination, ...] = (own_name, use_dns)


def compare_names(fleet: Fleet, subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Hint at endpoints whose hosts call themselves by the name of another endpoint."""
    addresses: dict[str, set[str]] = {}
    for vip in fleet.vips:
        for endpoint in vip.endpoints:
            addresses.setdefault(_short(endpoint.name), set()).add(endpoint.address)
    odd = {
        one.name: one.calls_itself
        for one in subjects
        if (there := addresses.get(_short(one.calls_itself))) and one.endpoint.address not in there
    }
    if odd:
        calls = "the host calls itself" if len(odd) == 1 else "the hosts call themselves"
        yield Finding(
            ", ".join(odd),
            f"{calls} {', '.join(odd.values())}",
            "compare the addresses in the fleet file: an act on one would hit another",
            is_hint=True,
        )


def _graded(subjects: Sequence[Subject], files: dict[str, str]) -> Callable[[str, str], Finding]:
    """Find fault where the endpoint asks itself, which may hang at night; else give a hint."""
    return subjects[0].found if _asks_itself(subjects, files) else subjects[0].hint


def _asks_itself(subjects: Sequence[Subject], files: dict[str, str]) -> bool:
    """Whether the endpoint is one of its own name servers."""
    look = subjects[0].look
    own = {one.address for one in look.addresses} if look else set()
    own |= {one.vip.address for one in subjects}
    lines = [line.split() for line in files.get(RESOLV, "").splitlines()]
    servers = [line[1] for line in lines if line[:1] == ["nameserver"] and line[1:]]
    return any(one in own or one.startswith("127.") or one == "::1" for one in servers)


def _is_known(name: str, files: dict[str, str]) -> bool:
    """Whether a name is known to the host before any name server is asked."""
    hosts = [line.partition("#")[0].split()[1:] for line in files[HOSTS].splitlines()]
    if any(name.lower() == word.lower() for words in hosts for word in words):
        return True
    for line in files.get(SWITCH, "").splitlines():
        database, _, sources = line.partition("#")[0].partition(":")
        if database.strip() == "hosts":
            before = re.split(r"\b(?:dns|resolve)\b", sources)[0]
            return "myhostname" in before.split()
    return False


def _files(said: str) -> dict[str, str]:
    """Take apart what `head -v` prints: the text of each file that it could read."""
    _, *parts = _HEADER.split(said)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _short(name: str) -> str:
    return name.partition(".")[0].lower()
