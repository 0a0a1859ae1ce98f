"""The lock and the log where root shares them with the automation's user, and a full syslog."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.operation.log import DecisionLog, open_shared
from anycast_handlers.transport.clock import SYSTEM_CLOCK

from tests.support.lock import refused, take

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextmanager
def as_nobody() -> Iterator[None]:
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    """Give a directory that other users can get to."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return tmp_path


@needs_root
def test_a_directory_without_permission_is_a_refusal(readable: Path) -> None:
    with as_nobody():
        assert refused(readable).endswith(": Permission denied: let nobody write it")


@needs_root
def test_files_that_root_creates_take_the_directorys_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    take(tmp_path)
    assert DecisionLog(f"{tmp_path}/log", SYSTEM_CLOCK).write({}) == ""
    for name in ("resolver.lock", "log"):
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
        assert status.st_mode & 0o777 == 0o640


@needs_root
def test_the_automation_goes_on_with_what_root_began(readable: Path) -> None:
    os.chown(readable, NOBODY, NOBODY)
    take(readable)
    DecisionLog(f"{readable}/log", SYSTEM_CLOCK).write({"by": "root"})
    with as_nobody():
        take(readable)
        assert DecisionLog(f"{readable}/log", SYSTEM_CLOCK).write({"by": "nobody"}) == ""
    assert len((readable / "log").read_text().splitlines()) == 2


@needs_root
def test_root_leaves_the_owner_of_an_existing_file_alone(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    os.chown(tmp_path, NOBODY, NOBODY)
    os.close(open_shared(f"{tmp_path}/log", os.O_WRONLY))
    assert (tmp_path / "log").stat().st_uid == 0


WRITER = """
import os, sys
from pathlib import Path
from anycast_handlers.operation.log import DecisionLog
from anycast_handlers.transport.clock import SYSTEM_CLOCK
log = DecisionLog(sys.argv[1] + "/log", SYSTEM_CLOCK)
filler = Path(sys.argv[1]) / f"filler {sys.argv[2]}"
logged = []
with open(filler, "wb", buffering=0) as stream:
    for number in range(500):
        try:
            while stream.write(b"x" * 65536):
                pass
        except OSError:
            pass
        # One page is free, and the line needs more than that, or the other run takes the page.
        os.truncate(filler, max(0, os.stat(filler).st_size - 4096 * (number % 5)))
        stream.seek(0, os.SEEK_END)
        if not log.write({"who": sys.argv[2], "number": number, "text": ["x" * 1000] * 7}):
            logged.append(number)
filler.unlink()
print(*logged)
"""


@needs_root
def test_on_a_disk_that_is_full_now_and_then_all_that_is_said_to_be_logged_can_be_read() -> None:
    """Two runs write at the same time, and short writes leave no half lines."""
    script = (
        'mount -t tmpfs -o size=4m tmpfs /mnt; "$1" -c "$2" /mnt a >/run/a & '
        '"$1" -c "$2" /mnt b >/run/b; wait; cat /run/a /run/b /mnt/log'
    )
    unshare = ("unshare", "--mount", "--", "sh", "-c", f"mount -t tmpfs tmpfs /run; {script}", "sh")
    argv = (*unshare, sys.executable, WRITER)
    shown = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    assert shown.stderr == ""
    a, b, *lines = shown.stdout.splitlines()
    said = {(who, int(number)) for who, text in (("a", a), ("b", b)) for number in text.split()}
    entries = [json.loads(line) for line in lines]
    assert {(entry["who"], entry["number"]) for entry in entries} == said
    assert len(entries) == len(said)
    assert 0 < len(said) < 1000, "the disk was never full"


def test_a_syslog_daemon_that_does_not_read_holds_nobody(tmp_path: Path) -> None:
    """A process ends nevertheless; its /dev/log is a socket that is full."""
    code = (
        "import os, socket, sys; from anycast_handlers.operation.log import Syslog;"
        "a = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); a.bind('/dev/log');"
        "b = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); b.setblocking(False);"
        "b.connect('/dev/log')\n"
        "try:\n"
        "    while True: b.send(b'x')\n"
        "except BlockingIOError: pass\n"
        "for sender in (Syslog(), Syslog()): sender.send('text', warning=True)\n"
        "print('ended', flush=True); os._exit(0)"
    )
    # The process has a /dev of its own, since a daemon may read that of the machine.
    script = 'mount -t tmpfs tmpfs /dev && exec "$@"'
    argv = ("unshare", "--mount", "--", "sh", "-c", script, "sh", sys.executable, "-c", code)
    if subprocess.run((*argv[:6], "sh", "true"), capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace")
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")
