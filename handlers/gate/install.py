"""Put the parts of the installation onto an endpoint, over one connection of OpenSSH."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import time
from collections.abc import Iterator, Mapping
from importlib.resources import files

from anycast_checks.errors import NotStartedError, ProgramTimeoutError
from anycast_checks.line import clean
from anycast_checks.program import run_program

from ..errors import ConfigurationError, InstallationError

# The person's own configuration of ssh counts here: keys, agent, a jump host, known hosts. Nothing
# is forwarded: root on the endpoint could log in elsewhere by the person's agent.
SSH = ("ssh", "-T", "-a", "-x", "-o", "ClearAllForwardings=yes",
       "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "--")  # fmt: skip
# sshd gives a person two minutes to log in, and the installation takes seconds.
SECONDS = 180.0
# So many bytes of what an endpoint says are kept.
LARGEST_OUTPUT = 65536
TARGET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:%-]*")
SCRIPT = "install.sh"
# A constant text for the login shell of root, whichever that is. What differs from one endpoint to
# the next is in the archive that it reads.
REMOTE = (
    'exec /bin/sh -c \'umask 077 && d=$(mktemp -d) && trap "rm -rf $d" EXIT'
    f' && tar -xf - -C "$d" && /bin/sh "$d/{SCRIPT}"{{}}\''
)
WRITE, ONLY_SAY = REMOTE.format(""), REMOTE.format(" dry")
# The shell reads all of a function, and all of an `if`, before it runs anything of them: so a text
# that was cut short, wherever, changes nothing.
ALONE = """\
#!/bin/sh
# Made by `anycast-handler gate --script`. Root runs it on the endpoint; with the argument `dry` it
# only says what would be changed.
put_in_place() {
    umask 077
    d=$(mktemp -d) && trap 'rm -rf "$d"' EXIT &&
        base64 -d <<'END' | tar -xf - -C "$d" && /bin/sh "$d/%s" "$@" </dev/null
%sEND
}
if true; then put_in_place "$@"; fi
"""
# Exit status of ssh where the connection or the login has failed.
NO_CONNECTION = 255
LOOK = "look there, and install again"


def archive(texts: Mapping[str, str]) -> bytes:
    """Pack files, by their names, with the script that installs them."""
    script = files(__package__).joinpath(SCRIPT).read_text()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in {**texts, SCRIPT: script}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o600
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def alone(texts: Mapping[str, str]) -> str:
    """Write a script for a shell that installs files, by their names, on the host where it runs."""
    return ALONE % (SCRIPT, base64.encodebytes(archive(texts)).decode("ascii"))


def install(target: str, packed: bytes, *, dry_run: bool) -> tuple[str, ...]:
    """Install an archive on one endpoint; returns what was changed there, in words.

    Args:
        target: whom and where ssh logs in to, such as root@ns1.example.org.
        packed: the result of `archive`.
        dry_run: change nothing, and say what would be changed.

    Raises:
        ConfigurationError: the target is none.
        InstallationError: it was not installed; the text says why.
    """
    if not TARGET.fullmatch(target):
        raise ConfigurationError(f"--install {target}: give an account and a host, as in root@ns1")
    argv = (*SSH, target, ONLY_SAY if dry_run else WRITE)
    until = time.monotonic() + SECONDS
    try:
        ended = run_program(argv, until, LARGEST_OUTPUT, stdin=packed, at_terminal=True)
    except NotStartedError as error:
        raise InstallationError(f"{target}: {error}") from error
    except ProgramTimeoutError as error:
        raise InstallationError(f"{target}: not ended in {SECONDS:g} s: {LOOK}") from error
    if ended.cut:
        text = f"more than {LARGEST_OUTPUT} bytes were said: {LOOK}"
        raise InstallationError(f"{target}: {text}")
    said = tuple(map(clean, ended.stdout.decode("utf-8", "replace").splitlines()))
    if ended.status != 0:
        why = [clean(line) for line in ended.stderr.decode("utf-8", "replace").splitlines()]
        last = (why or [f"exit status {ended.status}"])[-1]
        where = "ssh" if ended.status == NO_CONNECTION else "not installed"
        raise InstallationError(f"{target}: {where}: {last}")
    return said


def told_once(said: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Give the lines for a person: what is the same for several targets is told once.

    Args:
        said: the result of `install` for each target.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for target, lines in said.items():
        alike.setdefault(lines, []).append(target)
    for lines, targets in alike.items():
        names = ", ".join(targets)
        if len(targets) == 1 or len(lines) == 1:
            yield from (f"{names}: {line}" for line in lines)
        else:
            yield f"{names}:"
            yield from (f"  {line}" for line in lines)
