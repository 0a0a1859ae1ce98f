"""The lock and the log: other processes, other users, full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.errors import LockUnavailableError
from anycast_handlers.operation import log
from anycast_handlers.operation.lock import lock
from anycast_handlers.operation.log import open_shared
from anycast_handlers.transport.deadline import Deadline

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
HOLD = """
import sys
from anycast_handlers.transport.deadline import Deadline
from anycast_handlers.operation.lock import lock
with lock(sys.argv[1], "resolver", Deadline(60)):
    print("held", flush=True)
    sys.stdin.read()
"""
WRITE = """
import sys
from anycast_handlers import log
for number in range(200):
    assert not log.write(sys.argv[1], {"who": sys.argv[2], "number": number, "text": "x" * 3000})
"""


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock in another process, until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def refused(directory: Path, seconds: float = 5.0) -> str:
    with (
        pytest.raises(LockUnavailableError) as caught,
        lock(str(directory), "resolver", Deadline(seconds)),
    ):
        pytest.fail("the lock was to be had")
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_lock_keeps_another_process_out(tmp_path: Path) -> None:
    with holder(tmp_path):
        said = refused(tmp_path, 0.1)
    assert said == f"refused: another run has held {tmp_path}/resolver.lock for 0 s"


def test_the_lock_is_one_per_vip(tmp_path: Path) -> None:
    with holder(tmp_path), lock(str(tmp_path), "web", Deadline(5)):
        pass


def test_the_lock_is_free_once_its_holder_has_ended(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert process.stdin
        process.stdin.close()
        process.wait(60)
        with lock(str(tmp_path), "resolver", Deadline(5)):
            pass


def test_the_lock_is_free_once_its_holder_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        with lock(str(tmp_path), "resolver", Deadline(5)):
            pass


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path) as process, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_take, tmp_path)
        assert process.stdin
        process.stdin.close()
        waiting.result(60)


def test_the_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock(str(tmp_path), "resolver", Deadline(5)):
        raise KeyError
    _take(tmp_path)


def test_a_command_that_outlives_the_handler_does_not_keep_the_lock(tmp_path: Path) -> None:
    with lock(str(tmp_path), "resolver", Deadline(5)):
        child = subprocess.Popen(["sleep", "600"])
    with child:
        try:
            _take(tmp_path)
        finally:
            child.kill()


def _take(directory: Path) -> None:
    with lock(str(directory), "resolver", Deadline(30)):
        pass


def test_a_missing_directory_is_a_refusal(tmp_path: Path) -> None:
    said = refused(tmp_path / "missing")
    assert said == f"refused: no lock: {tmp_path}/missing/resolver.lock: No such file or directory"


def test_a_file_for_a_directory_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file").endswith(": Not a directory")


def test_a_link_is_a_refusal_because_it_could_lead_root_anywhere(tmp_path: Path) -> None:
    (tmp_path / "resolver.lock").symlink_to(tmp_path / "precious")
    assert "resolver.lock" in refused(tmp_path)
    assert not (tmp_path / "precious").exists()


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
        assert refused(readable).endswith(": Permission denied")


@needs_root
def test_files_that_root_creates_take_the_directorys_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    _take(tmp_path)
    assert log.write(f"{tmp_path}/log", {}) == ""
    for name in ("resolver.lock", "log"):
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
        assert status.st_mode & 0o777 == 0o640


@needs_root
def test_the_automation_goes_on_with_what_root_began(readable: Path) -> None:
    os.chown(readable, NOBODY, NOBODY)
    _take(readable)
    log.write(f"{readable}/log", {"by": "root"})
    with as_nobody():
        _take(readable)
        assert log.write(f"{readable}/log", {"by": "nobody"}) == ""
    assert len((readable / "log").read_text().splitlines()) == 2


@needs_root
def test_root_leaves_the_owner_of_an_existing_file_alone(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    os.chown(tmp_path, NOBODY, NOBODY)
    os.close(open_shared(f"{tmp_path}/log", os.O_WRONLY))
    assert (tmp_path / "log").stat().st_uid == 0


def test_the_log_is_one_json_object_a_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    odd = "line\nbreak | \x00 \ud800 ü"
    for number in range(3):
        assert log.write(str(file), {"number": number, "text": odd}) == ""
    lines = file.read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["number"] for entry in entries] == [0, 1, 2]
    assert entries[0]["text"] == odd
    assert all(line.isascii() for line in lines)


def test_a_line_begins_with_the_time_in_utc(tmp_path: Path) -> None:
    log.write(f"{tmp_path}/log", {})
    entry = json.loads((tmp_path / "log").read_text())
    assert len(entry["time"]) == len("2024-01-02T03:04:05.678Z")
    assert entry["time"].endswith("Z")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("missing/log", "No such file or directory"),
        (".", "Is a directory"),
        ("plain/log", "Not a directory"),
        ("link", "Too many levels of symbolic links"),
    ],
)
def test_a_log_that_cannot_be_opened_is_said(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "link").symlink_to("elsewhere")
    assert log.write(f"{tmp_path}/{file}", {}) == f"not logged: {tmp_path}/{file}: {said}"


def test_a_full_disk_is_said() -> None:
    assert log.write("/dev/full", {}) == "not logged: /dev/full: No space left on device"


def test_a_disk_that_fills_up_in_the_middle_of_a_line_is_said(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from anycast_handlers import log;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "print(log.write(sys.argv[1], {'text': 'x' * 1000}))"
    )
    argv = [sys.executable, "-c", code, f"{tmp_path}/log"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == f"not logged: {tmp_path}/log: no space left\n"
    assert (tmp_path / "log").read_text() == ""


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(file), name]) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(entries) == 800
    for name in "abcd":
        assert [e["number"] for e in entries if e["who"] == name] == list(range(200))


def test_a_syslog_daemon_that_does_not_read_holds_nobody(tmp_path: Path) -> None:
    """Its socket is full: a process of its own, with that for /dev/log, ends nevertheless."""
    code = (
        "import socket, sys; from anycast_handlers import log;"
        "a = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); a.bind('/dev/log');"
        "b = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); b.setblocking(False);"
        "b.connect('/dev/log')\n"
        "try:\n"
        "    while True: b.send(b'x')\n"
        "except BlockingIOError: pass\n"
        "for _ in range(2): log.to_syslog('text', warning=True)\n"
        "print('ended')"
    )
    # A /dev of its own: that of the machine may have a daemon.
    script = 'mount -t tmpfs tmpfs /dev && exec "$@"'
    argv = ("unshare", "--mount", "--", "sh", "-c", script, "sh", sys.executable, "-c", code)
    if subprocess.run((*argv[:6], "sh", "true"), capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace")
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")


def test_syslog_is_told_without_any_daemon() -> None:
    log.to_syslog("text\nwith | odd \x00 characters", warning=True)
