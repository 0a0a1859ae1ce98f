"""`anycast-act`, the helper of an endpoint: its kernel, its ifupdown, its hostile accounts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

import pytest
from anycast_handlers.endpoint.change import HELPER

from tests.support.namespace import VIP, Namespace

DIRECTORY = "/var/lib/anycast"
LATCH_FILE = f"{DIRECTORY}/{VIP}.latch.json"
# An account of every Debian, in the place of the handler's.
ACCOUNT = 65534
# The owner of the directory exchanges each file of root for a link, as soon as there is one.
EXCHANGE = f"""
import os
os.setgroups([])
os.setgid({ACCOUNT})
os.setuid({ACCOUNT})
new, link = "{LATCH_FILE}.new", "{DIRECTORY}/link"
print("ready", flush=True)
while True:
    try:
        os.symlink("/run/secret", link)
    except FileExistsError:
        pass
    try:
        while os.lstat(new).st_uid != 0:
            pass
        os.rename(link, new)
    except FileNotFoundError:
        pass
"""


class Answer(NamedTuple):
    """How the helper ended, and the lines that it printed."""

    status: int
    lines: list[str]

    def did(self) -> list[tuple[str, int]]:
        """List what it has begun, each with its exit status."""
        words = [line.split(" ", 3) for line in self.lines if line.startswith("did ")]
        return [(what, int(status)) for _, status, _, what in words]


def request(
    host: Namespace, *steps: str, present: str = "any", latch: str = "any", late: float = 5.0
) -> str:
    uptime = float(host.run("cat", "/proc/uptime").split()[0])
    lines = (
        f"address {VIP} lo",
        f"expires {int((uptime + late) * 100)}",
        "seconds 600",
        f"boot {host.run('cat', '/proc/sys/kernel/random/boot_id').strip()}",
        f"present {present}",
        "hold any",
        f"latch {latch}",
        *steps,
        "end",
    )
    return "".join(f"{line}\n" for line in lines)


def ask(host: Namespace, *steps: str, present: str = "any", latch: str = "any") -> Answer:
    text = request(host, *steps, present=present, latch=latch)
    ended = subprocess.run(
        host.argv(HELPER), input=text, capture_output=True, text=True, check=False, timeout=60
    )
    return Answer(ended.returncode, ended.stdout.splitlines())


@pytest.fixture
def secret(host: Namespace) -> str:
    """A file that only root may read, beside a directory that belongs to the account."""
    host.run("chown", f"{ACCOUNT}:{ACCOUNT}", DIRECTORY)
    host.run("install", "-m", "600", "/dev/stdin", "/run/secret", input="s\n")
    return "/run/secret"


class TestTheOwnerOfTheDirectory:
    """Root writes and reads notes in a directory that belongs to the handler's account."""

    @contextmanager
    def _exchanging(self, host: Namespace) -> Iterator[None]:
        argv = host.argv("/usr/bin/python3", "-c", EXCHANGE)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as attacker:
            try:
                assert attacker.stdout
                assert attacker.stdout.readline() == "ready\n"
                yield
            finally:
                attacker.kill()

    def test_gets_no_file_of_root_opened_to_everybody(self, host: Namespace, secret: str) -> None:
        with self._exchanging(host):
            for _ in range(40):
                assert ask(host, "write latch {}").status == 0
        assert host.run("stat", "-c", "%a %U", secret) == "600 root\n"
        assert host.run("cat", secret) == "s\n"

    def test_learns_nothing_of_what_root_may_read(self, host: Namespace, secret: str) -> None:
        """The digest of a note is compared, and root would compare that of any file."""
        guess = sha256(b"s").hexdigest()
        host.run("cp", secret, LATCH_FILE)
        assert ask(host, latch=guess).status == 0
        host.run("ln", "-sf", secret, LATCH_FILE)
        assert ask(host, latch=guess) == Answer(3, ["changed latch"])
