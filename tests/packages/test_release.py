"""The root in which `scripts/test --release` runs is that release, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.waiting import wait_until
from tests.support.program import ROOT

SCRIPT = """\
. scripts/setup.sh
. scripts/roots.sh
in_release "$@"
"""
MINUTES = 20 * 60.0


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="a root of Debian needs root"),
]


def in_release(*argv: str) -> list[str]:
    return ["bash", "-euo", "pipefail", "-c", SCRIPT, "scripts/test", *argv]


@contextmanager
def waiting_there(mark: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in the root that waits, with a child that it leaves behind and a mount."""
    inside = "sleep $1 & mount -t tmpfs tmpfs /mnt; exec sleep $1"
    argv = in_release("trixie", "sh", "-c", inside, "sh", mark)
    process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
    try:
        wait_until(lambda: len(running(mark)) >= 2, "the command waits", MINUTES)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def running(mark: str) -> list[str]:
    """List the processes of `sleep` with that argument, also those of the root."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[:2] == [b"sleep", mark.encode()]:
                found.append(process.name)
    return found


def mounts() -> list[str]:
    """List what is mounted on this machine with a release in its name, or from such a place."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if "/release-" in line]


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_it_is_the_release_with_the_checkout_and_file_systems_of_its_own(release: str) -> None:
    script = """
        . /etc/os-release && echo "$VERSION_CODENAME"
        cmp scripts/test /checkout/scripts/test
        findmnt --noheadings --raw --output TARGET,FSTYPE
        ls /run /tmp
        [ "$(ls /proc | grep -c '^[0-9]')" -lt 10 ] && echo alone
        nsenter --target 1 --mount sh -c '. /etc/os-release && echo "$VERSION_CODENAME"'
        exit 7
    """
    ended = subprocess.run(
        in_release(release, "sh", "-c", script), cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 7, ended
    for line in ("/proc proc", "/dev tmpfs", "/run tmpfs", "/tmp tmpfs", "/dev/pts devpts"):
        assert line in ended.stdout.splitlines(), ended
    assert "alone" in ended.stdout, ended
    assert ended.stdout.splitlines().count(release) == 2, ended
    assert mounts() == []


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "KILL"])
def test_nothing_is_left_of_what_is_interrupted(name: str) -> None:
    mark = f"98765.{time.monotonic_ns()}"
    with waiting_there(mark) as process:
        number = signal.Signals[f"SIG{name}"]
        if name == "INT":
            # Ctrl-C reaches all processes of the terminal's foreground.
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(60) != 0
        wait_until(lambda: not running(mark), "nothing runs any more", 60)
        assert mounts() == []


def test_a_release_that_nobody_knows_is_refused() -> None:
    ended = subprocess.run(
        ["scripts/test", "--release", "sarge"], cwd=ROOT, capture_output=True, text=True
    )
    said = "test: sarge is none of the releases bookworm trixie\n"
    assert (ended.returncode, ended.stderr) == (3, said)
