"""The lock and the log, with other processes about and on full disks."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from anycast_handlers.operation.log import DecisionLog, Syslog
from anycast_handlers.transport.clock import SYSTEM_CLOCK

from tests.support.beside import running
from tests.support.lock import held, refused, take

HOLD = """
import sys
from anycast_handlers.operation.lock import FileLocks
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.transport.clock import Deadline
with FileLocks(sys.argv[1], SYSTEM_CLOCK).open("resolver") as lock:
    lock.take(Deadline(SYSTEM_CLOCK, 60))
    print("held", flush=True)
    sys.stdin.read()
"""
WRITE = """
import sys
from anycast_handlers.operation.log import DecisionLog
from anycast_handlers.transport.clock import SYSTEM_CLOCK
log = DecisionLog(sys.argv[1], SYSTEM_CLOCK)
for number in range(200):
    assert not log.write({"who": sys.argv[2], "number": number, "text": "x" * 3000})
"""


def write(file: str, entry: Mapping[str, object]) -> str:
    """Append one decision to a log."""
    return DecisionLog(file, SYSTEM_CLOCK).write(entry)


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock in another process, until its stdin is closed."""
    with running([sys.executable, "-c", HOLD, str(directory)], "held") as process:
        yield process


def test_the_lock_keeps_another_process_out(tmp_path: Path) -> None:
    with holder(tmp_path):
        said = refused(tmp_path, 0.1)
    held_for = rf"refused: another run has held {tmp_path}/resolver\.lock for \d+ s"
    assert re.fullmatch(held_for, said), said


def test_the_lock_is_one_per_vip(tmp_path: Path) -> None:
    with holder(tmp_path), held(tmp_path, vip="web"):
        pass


def test_the_lock_is_free_once_its_holder_has_ended(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert process.stdin
        process.stdin.close()
        process.wait(60)
        with held(tmp_path):
            pass


def test_the_lock_is_free_once_its_holder_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        with held(tmp_path):
            pass


def test_the_lock_remembers_many_acts_on_endpoints_with_long_names(tmp_path: Path) -> None:
    names = [f"{number:0253}" for number in range(40)]
    with held(tmp_path) as lock:
        assert [said for name in names if (said := lock.note_act(name, 30))] == []
        assert lock.under_way_elsewhere("ns1") == tuple(names)


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path) as process, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(take, tmp_path)
        assert process.stdin
        process.stdin.close()
        waiting.result(60)


def test_the_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(tmp_path):
        raise KeyError
    take(tmp_path)


def test_a_command_that_outlives_the_handler_does_not_keep_the_lock(tmp_path: Path) -> None:
    with held(tmp_path):
        child = subprocess.Popen(["sleep", "600"])
    with child:
        try:
            take(tmp_path)
        finally:
            child.kill()


def test_a_missing_directory_is_a_refusal(tmp_path: Path) -> None:
    said = refused(tmp_path / "missing")
    why = "No such file or directory: make its directory"
    assert said == f"refused: no lock: {tmp_path}/missing/resolver.lock: {why}"


def test_a_file_for_a_directory_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file").endswith(": Not a directory")


def test_a_link_is_a_refusal_because_it_could_lead_root_anywhere(tmp_path: Path) -> None:
    (tmp_path / "resolver.lock").symlink_to(tmp_path / "precious")
    assert "resolver.lock" in refused(tmp_path)
    assert not (tmp_path / "precious").exists()


def _pipe(file: Path) -> None:
    os.mkfifo(file)


def _socket(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(file))


@pytest.mark.parametrize(
    ("make", "kind"), [(Path.mkdir, "directory"), (_pipe, "pipe"), (_socket, "socket")]
)
def test_another_kind_of_file_is_a_refusal_that_says_so(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    make(tmp_path / "resolver.lock")
    said = refused(tmp_path)
    file = f"{tmp_path}/resolver.lock"
    assert said == f"refused: no lock: {file}: it is a {kind}, not a file: remove it"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"[" * 4096,
        b"[1]",
        b'"at"',
        b'{"at": "x"}',
        b'{"at": NaN}',
        b'{"at": -Infinity}',
        b'{"at": ' + b"9" * 400 + b"}",
    ],
)
def test_a_lock_whose_content_is_garbage_is_a_lock_without_memory(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "resolver.lock").write_bytes(content)
    with held(tmp_path) as lock:
        assert lock.since_withdrawal_elsewhere("ns1") is None
        assert lock.note_withdrawal("ns2") == ""
        assert lock.since_withdrawal_elsewhere("ns1") is not None


HUGE = "\x1b\U0001f600" * 500_000


@pytest.mark.parametrize(
    "more",
    [
        {"text": HUGE, "reason": HUGE, "user": HUGE},
        {
            "commands": [
                {"at": 1.5, "argv": [HUGE] * 50, "status": n, "said": HUGE} for n in range(9)
            ]
        },
        {"commands": [{"at": 1.5, "argv": ["x"], "status": n, "said": ""} for n in range(9999)]},
        {"timings": {f"{HUGE[:4000]}{n}": 0.5 for n in range(200)}},
        {str(n): HUGE for n in range(30)},
    ],
)
def test_a_line_is_short_whatever_is_in_it(tmp_path: Path, more: dict[str, object]) -> None:
    entry = {"rule": "withdraw", "action": "withdraw", **more, "exit": 2}
    assert write(f"{tmp_path}/log", entry) == ""
    text = (tmp_path / "log").read_bytes()
    assert len(text) <= 16384
    shown = json.loads(text)
    assert {"time", *entry} <= shown.keys()
    assert (shown["rule"], shown["action"], shown["exit"]) == ("withdraw", "withdraw", 2)
    if "commands" in more:
        assert shown["commands"][0]["status"] == 0
        assert shown["commands"][-1]["status"] == more["commands"][-1]["status"]  # type: ignore[index]


def test_an_ordinary_line_is_whole(tmp_path: Path) -> None:
    entry = {"commands": [{"argv": ["ip", "x" * 500], "said": "y" * 200}] * 12, "text": "z" * 900}
    assert write(f"{tmp_path}/log", entry) == ""
    shown = json.loads((tmp_path / "log").read_text())
    assert shown == {"time": shown["time"], **entry}


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"text": "hal')
    assert write(f"{tmp_path}/log", {"number": 1}) == ""
    lines = (tmp_path / "log").read_text().splitlines()
    assert json.loads(lines[1])["number"] == 1


def test_a_log_that_another_run_has_locked_is_written_all_the_same(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert write(f"{tmp_path}/log", {"number": 1}) == ""
    assert json.loads((tmp_path / "log").read_text())["number"] == 1


def test_the_log_is_one_json_object_a_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    odd = "line\nbreak | \x00 \ud800 ü"
    for number in range(3):
        assert write(str(file), {"number": number, "text": odd}) == ""
    lines = file.read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["number"] for entry in entries] == [0, 1, 2]
    assert entries[0]["text"] == odd
    assert all(line.isascii() for line in lines)


def test_a_line_begins_with_the_time_in_utc(tmp_path: Path) -> None:
    write(f"{tmp_path}/log", {})
    entry = json.loads((tmp_path / "log").read_text())
    assert len(entry["time"]) == len("2024-01-02T03:04:05.678Z")
    assert entry["time"].endswith("Z")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("missing/log", "No such file or directory: make its directory"),
        (".", "it is a directory, not a file: remove it"),
        ("plain/log", "Not a directory"),
        ("link", "it is a link, not a file: remove it"),
        ("pipe", "it is a pipe, not a file: remove it"),
    ],
)
def test_a_log_that_cannot_be_opened_is_said(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "link").symlink_to("elsewhere")
    os.mkfifo(tmp_path / "pipe")
    assert write(f"{tmp_path}/{file}", {}) == f"not logged: {tmp_path}/{file}: {said}"


def test_a_full_disk_is_said() -> None:
    assert write("/dev/full", {}) == "not logged: /dev/full: No space left on device"


def test_a_disk_that_fills_up_in_the_middle_of_a_line_is_said(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from anycast_handlers.operation.log import DecisionLog;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from anycast_handlers.transport.clock import SYSTEM_CLOCK;"
        "print(DecisionLog(sys.argv[1], SYSTEM_CLOCK).write({'text': 'x' * 1000}))"
    )
    argv = [sys.executable, "-c", code, f"{tmp_path}/log"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == f"not logged: {tmp_path}/log: no space left\n"
    assert (tmp_path / "log").read_text() == ""


def test_half_a_line_is_cut_off_without_the_line_of_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run begins to write just before half a line is cut off."""
    code = (
        "import sys; from anycast_handlers.operation.log import DecisionLog;"
        "from anycast_handlers.transport.clock import SYSTEM_CLOCK;"
        "assert not DecisionLog(sys.argv[1], SYSTEM_CLOCK).write({'who': 'other'})"
    )
    file, others = f"{tmp_path}/log", []
    whole, cut = os.write, os.ftruncate

    def half(descriptor: int, data: bytes) -> int:
        return whole(descriptor, data[:20])

    def cut_late(descriptor: int, size: int) -> None:
        others.append(subprocess.Popen([sys.executable, "-c", code, file]))
        with suppress(subprocess.TimeoutExpired):
            others[0].wait(0.3)  # it waits for the lock, and without one it has written by then
        cut(descriptor, size)

    assert write(file, {"number": 1}) == ""
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        patched.setattr(os, "ftruncate", cut_late)
        assert write(file, {"number": 2}).endswith("no space left")
    assert others[0].wait(60) == 0
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (first["number"], second["who"]) == (1, "other")


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(file), name]) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(entries) == 800
    for name in "abcd":
        assert [e["number"] for e in entries if e["who"] == name] == list(range(200))


def test_syslog_is_told_without_any_daemon() -> None:
    Syslog().send("text\nwith | odd \x00 characters", warning=True)


def test_an_act_under_way_is_known_until_its_end(tmp_path: Path) -> None:
    """A run that is killed gives its lock back, while its command may still take effect."""
    with held(tmp_path) as lock:
        assert lock.note_withdrawal("ns3") == ""
        assert lock.note_act("ns1", 30.0) == ""
    with held(tmp_path) as lock:
        assert lock.under_way_elsewhere("ns2") == ("ns1",)
        assert lock.under_way_elsewhere("ns1") == ()
        assert lock.since_withdrawal_elsewhere("ns1") is not None
        lock.note_end("ns1")
        assert lock.under_way_elsewhere("ns2") == ()
        assert lock.since_withdrawal_elsewhere("ns1") is not None
        lock.note_act("ns1", -0.1)
        assert lock.under_way_elsewhere("ns2") == ()


def test_an_act_under_way_outlasts_the_acts_on_other_endpoints(tmp_path: Path) -> None:
    """Otherwise a third run would count an endpoint whose command is still to come."""
    with held(tmp_path) as lock:
        lock.note_act("ns1", 30.0)
        lock.note_act("ns2", 30.0)
        assert lock.under_way_elsewhere("ns3") == ("ns1", "ns2")
        lock.note_withdrawal("ns2")
        assert lock.under_way_elsewhere("ns3") == ("ns1",)
        assert lock.since_withdrawal_elsewhere("ns3") is not None
        lock.note_act("ns4", 30.0)
        lock.note_end("ns4")
        assert lock.under_way_elsewhere("ns3") == ("ns1",)


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{", '{"under_way": 3}', '{"under_way": {"ns1": []}}', '{"at": "x"}', "\0" * 9],
)
def test_a_lock_file_of_nonsense_remembers_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "resolver.lock").write_text(text)
    with held(tmp_path) as lock:
        assert lock.under_way_elsewhere("ns2") == ()
        assert lock.since_withdrawal_elsewhere("ns2") is None
        assert lock.note_act("ns1", 30.0) == ""
        assert lock.under_way_elsewhere("ns2") == ("ns1",)
