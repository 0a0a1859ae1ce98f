"""`anycast-act`, the helper of an endpoint: its kernel, its ifupdown, its hostile accounts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from anycast_handlers.endpoint.change import HELPER

from lab.waiting import wait_until
from tests.support.beside import running
from tests.support.namespace import ALLOW, VIP, Namespace

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


WITHDRAW = ("/sbin/ifdown lo:0", f"/sbin/ip address del {VIP}/32 dev lo")
ENDLESS_LINE = "yes x | tr -d '\\n'"
REACHED, GO = "/run/reached", "/run/go"
INTERFACES = "/etc/network/interfaces"
# The time of a request that is stopped, and the time of a note.
SECONDS, NOTE_SECONDS = 3.0, 1.0


class Answer(NamedTuple):
    """How the helper ended, and the lines that it printed."""

    status: int
    lines: list[str]

    def did(self) -> list[tuple[str, int]]:
        """List what it has begun, each with its exit status."""
        words = [line.split(" ", 3) for line in self.lines if line.startswith("did ")]
        return [(what, int(status)) for _, status, _, what in words]


def uptime(host: Namespace) -> float:
    return float(host.run("cat", "/proc/uptime").split()[0])


def request(
    host: Namespace,
    *steps: str,
    present: str = "any",
    latch: str = "any",
    late: float = 5.0,
    budget: float = 6.0,
) -> str:
    lines = (
        f"address {VIP} lo",
        f"expires {int((uptime(host) + late) * 100)}",
        f"seconds {int(budget * 100)}",
        f"boot {host.run('cat', '/proc/sys/kernel/random/boot_id').strip()}",
        f"present {present}",
        "hold any",
        f"latch {latch}",
        *steps,
        "end",
    )
    return "".join(f"{line}\n" for line in lines)


def ask(host: Namespace, *steps: str, by: Sequence[str] = (), **wanted: Any) -> Answer:
    text = request(host, *steps, **wanted)
    ended = subprocess.run(
        host.argv(*by, HELPER), input=text, capture_output=True, text=True, check=False, timeout=60
    )
    return Answer(ended.returncode, ended.stdout.splitlines())


def is_running(process: str) -> bool:
    """Whether a process runs; one that has ended may still be listed, and has no words then."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


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
        with running(host.argv("/usr/bin/python3", "-c", EXCHANGE), "ready"):
            yield

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


class TestAStoppedHelper:
    """The helper is stopped in the middle of its work, and goes on when its time is over."""

    def _stop(self, host: Namespace, *more: str, wholly: bool) -> Answer:
        """Stop it while it writes its first note; the processes that it has started, or not."""
        host.run("cp", "/usr/bin/dd", "/run/dd")
        waits = f"touch {REACHED}\nuntil [ -e {GO} ]; do sleep 0.02; done\n"
        script = f'#!/bin/sh\n{waits}exec /run/dd "$@"\n'
        host.run("install", "-m", "755", "/dev/stdin", "/run/waits", input=script)
        host.run("mount", "--bind", "/run/waits", "/usr/bin/dd")
        steps = ("write latch {}", *more, *(f"try {command}" for command in WITHDRAW))
        with subprocess.Popen(
            host.argv(HELPER),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        ) as helper:  # fmt: skip
            assert helper.stdin
            assert helper.stdout
            helper.stdin.write(request(host, *steps, present="yes", late=SECONDS))
            late = uptime(host) + SECONDS + NOTE_SECONDS
            helper.stdin.close()
            wait_until(lambda: "reached\n" in host.run("ls", "/run"), "it writes a note")
            kill = os.killpg if wholly else os.kill
            kill(helper.pid, signal.SIGSTOP)
            host.run("touch", GO)
            wait_until(lambda: uptime(host) > late, "its time is over", 20)
            kill(helper.pid, signal.SIGCONT)
            lines = helper.stdout.read().splitlines()
        return Answer(helper.returncode, lines)

    @pytest.mark.parametrize("wholly", [True, False])
    def test_begins_no_further_step(self, host: Namespace, *, wholly: bool) -> None:
        answer = self._stop(host, wholly=wholly)
        assert f"{VIP}/32" in host.addresses()
        assert answer.status == 1
        steps = [what for what, status in answer.did() if status]
        assert steps[-2:] == list(WITHDRAW)
        has_note = f"{VIP}.latch.json\n" in host.run("ls", DIRECTORY)
        assert has_note is not wholly

    def test_a_step_that_is_refused_gives_the_next_one_no_time(self, host: Namespace) -> None:
        answer = self._stop(host, "write hold {}", "write hold {}", "write hold {}", wholly=True)
        assert f"{VIP}/32" in host.addresses()
        assert [what for what, status in answer.did() if status][-2:] == list(WITHDRAW)


class TestAMaskThatComesLast:
    """A manager that starts again may bring the address back before it is masked."""

    STEPS = (f"try {WITHDRAW[1]}", "mask networkmanager") * 2

    def _ask(self, host: Namespace, first: str) -> Answer:
        """Ask with a program that masks at the second time; ``first`` is what happens before."""
        script = f"#!/bin/sh\n[ ! -e /run/once ] || exit 0\ntouch /run/once\n{first}\n"
        mask = "/usr/local/sbin/anycast-mask"
        host.run("install", "-m", "755", "/dev/stdin", mask, input=script)
        host.run("sh", "-c", f"echo 'mask {VIP} networkmanager' >>{ALLOW}")
        host.run("sh", "-c", f"printf 'act {VIP} {WITHDRAW[1]}\n' >>{ALLOW}")
        return ask(host, *self.STEPS, present="yes")

    @pytest.mark.parametrize("status", [0, 1])
    def test_is_tried_again_where_it_has_failed(self, host: Namespace, status: int) -> None:
        comes_back = f"ip address add {VIP}/32 dev lo\nexit {status}"
        answer = self._ask(host, comes_back)
        assert f"{VIP}/32" not in host.addresses()
        masks = [("mask networkmanager", status)] + [("mask networkmanager", 0)] * (status != 0)
        assert [one for one in answer.did() if "mask" in one[0]] == masks, answer
        assert answer.status == 0


@pytest.mark.parametrize("directory", ["/run", "/tmp"])
def test_a_full_disk_keeps_no_dead_endpoint_in_the_routing(host: Namespace, directory: str) -> None:
    """The shell of RHEL 8 is a bash that keeps a here-document in a file."""
    if directory == "/tmp":
        host.run("mount", "-t", "tmpfs", "tmpfs", directory)
    host.run("mount", "-o", "remount,size=64k", directory)
    host.run("sh", "-c", f"! cat /dev/zero 2>/dev/null >{directory}/full")
    as_in_rhel_8 = ("/usr/bin/env", "BASH_COMPAT=5.0", "/bin/bash", "--posix")
    for by in ((), as_in_rhel_8):
        if f"{VIP}/32" not in host.addresses():
            host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
        answer = ask(host, *(f"try {one}" for one in WITHDRAW), present="yes", by=by)
        assert answer.status == 0
        assert f"{VIP}/32" not in host.addresses()
        assert answer.lines[-1].startswith("after ")


class TestAHook:
    """ifupdown runs the scripts of the endpoint beside a change."""

    def test_in_a_session_of_its_own_does_not_outlive_the_time_limit(self, host: Namespace) -> None:
        """It could take away again what is restored meanwhile."""
        hangs = "setsid sh -c 'echo $$ >/run/hook; exec sleep 600'"
        text = f'#!/bin/sh\n[ "$IFACE" = lo:0 ] || exit 0\n{hangs}\n'
        file = "/etc/network/if-down.d/hangs"
        host.run("install", "-m", "755", "/dev/stdin", file, input=text)
        answer = ask(host, *(f"try {command}" for command in WITHDRAW), budget=2.0)
        assert answer.did() == [(WITHDRAW[0], 137), (WITHDRAW[1], 0)]
        assert f"{VIP}/32" not in host.addresses()
        hook = host.run("cat", "/run/hook").strip()
        wait_until(lambda: not is_running(hook), "the hook has ended")


class TestAPerson:
    """A person brings the interface up and down, and no run of the suite is between the two."""

    RESTORE = ("record latch {}", "try /sbin/ifup lo", "try /sbin/ifup lo:0", "remove latch")

    def _withdraw(self, host: Namespace) -> None:
        assert ask(host, "write latch {}", f"try {WITHDRAW[0]}", present="yes").status == 0
        assert f"{VIP}/32" not in host.addresses()

    def test_has_taken_the_withdrawal_over(self, host: Namespace) -> None:
        self._withdraw(host)
        host.run("ifup", "lo:0")
        host.run("ifdown", "lo:0")
        answer = ask(host, *self.RESTORE, present="no")
        assert (answer.status, answer.lines[-1]) == (3, "changed latch")
        assert f"{VIP}/32" not in host.addresses()
        assert host.run("ls", DIRECTORY) == ""
        # Without the latch only a person asks for it.
        assert ask(host, *self.RESTORE[1:3], present="no").status == 0
        assert f"{VIP}/32" in host.addresses()

    def test_who_does_so_with_another_interface_has_not(self, host: Namespace) -> None:
        host.run("sh", "-c", f"sed 's/lo:0/lo:1/; s/{VIP}/10.99.0.54/' {INTERFACES} >>{INTERFACES}")
        host.run("ifup", "lo:1")
        self._withdraw(host)
        host.run("ifdown", "lo:1")
        host.run("ifup", "lo:1")
        # A restore that was in vain is the suite's too.
        host.run("mv", INTERFACES, f"{INTERFACES}.away")
        assert ask(host, *self.RESTORE, present="no").status == 1
        host.run("mv", f"{INTERFACES}.away", INTERFACES)
        assert ask(host, *self.RESTORE, present="no").status == 0
        assert f"{VIP}/32" in host.addresses()


class TestACaller:
    @pytest.mark.parametrize("endless", ["yes 'remove latch'", "cat /dev/zero", ENDLESS_LINE])
    def test_who_never_ends_is_refused(self, host: Namespace, endless: str) -> None:
        argv = host.argv("timeout", "-s", "KILL", "30", "sh", "-c", f"{endless} | {HELPER}")
        ended = subprocess.run(argv, check=False, capture_output=True, text=True)
        assert (ended.returncode, ended.stdout) == (126, "")
        assert ended.stderr.startswith("anycast-act: refused: ")

    def test_who_does_not_listen_keeps_no_lock(self, host: Namespace) -> None:
        text = request(host, "write latch {}")
        reading, writing = os.pipe()
        try:
            os.set_blocking(writing, False)
            with suppress(BlockingIOError):
                while True:
                    os.write(writing, bytes(4096))
            os.set_blocking(writing, True)
            with subprocess.Popen(
                host.argv(HELPER), stdin=subprocess.PIPE, stdout=writing, text=True
            ) as deaf:
                assert deaf.stdin
                deaf.stdin.write(text)
                deaf.stdin.close()
                wait_until(lambda: "latch.json\n" in host.run("ls", DIRECTORY), "it has written")
                answer = ask(host, "remove latch")
                assert answer.status == 0
                assert not [line for line in answer.lines if line.startswith("trouble")]
                assert deaf.poll() is None
                deaf.kill()
        finally:
            os.close(reading)
            os.close(writing)
