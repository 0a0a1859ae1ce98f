"""The last decisions, in their order, from the log and from what logrotate has made of it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from anycast_handlers.operation import past
from anycast_handlers.operation.log import DecisionLog
from anycast_handlers.operation.past import Wanted, last
from anycast_handlers.transport.clock import SYSTEM_CLOCK

from tests.support.decisions import MIDNIGHT, withdrawal, written
from tests.support.handler import Monitor
from tests.support.terminal import LINES, on_terminal, rows

LOGROTATE = "/usr/sbin/logrotate"
ALL = Wanted({}, everything=True)


def write(log: Path, numbers: range, vip: str = "resolver", action: str = "withdraw") -> None:
    decisions = DecisionLog(str(log), SYSTEM_CLOCK)
    for number in numbers:
        said = {"vip": vip, "endpoint": f"ns{number % 3}", "action": action, "number": number}
        assert decisions.write(said) == ""


def numbers(log: Path, wanted: Wanted = ALL, most: int = 1000) -> list[int]:
    found, trouble = last(str(log), wanted, most)
    assert trouble == ""
    return [entry["number"] for entry in found]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


@pytest.mark.parametrize("chunk", [1, 7, 100, 1 << 20])
def test_the_last_ones_come_in_their_order(
    log: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(past, "CHUNK", chunk)
    write(log, range(30))
    assert numbers(log) == list(range(30))
    assert numbers(log, most=4) == [26, 27, 28, 29]


def test_only_what_is_wanted_is_found(log: Path) -> None:
    write(log, range(10))
    write(log, range(10, 20), vip="web")
    write(log, range(20, 30), action="nothing")
    routine_too = Wanted({"vip": "resolver"}, everything=True)
    assert numbers(log, routine_too) == [*range(10), *range(20, 30)]
    assert numbers(log, Wanted({"vip": "web", "endpoint": "ns0"}, everything=False)) == [12, 15, 18]
    assert numbers(log, Wanted({}, everything=False), most=3) == [17, 18, 19]


def test_what_a_text_quotes_is_no_field(log: Path) -> None:
    said = {"vip": "web", "action": "withdraw", "number": 1}
    quoting = {**said, "text": '"vip":"resolver" "action":"nothing"'}
    assert DecisionLog(str(log), SYSTEM_CLOCK).write(quoting) == ""
    assert numbers(log, Wanted({"vip": "resolver"}, everything=True)) == []
    assert numbers(log, Wanted({"vip": "web"}, everything=False)) == [1]


def test_lines_that_are_no_decisions_are_passed_over(log: Path) -> None:
    write(log, range(2))
    with log.open("ab") as stream:
        stream.write(b'\n\n{"number": \n\xff\xfe\n[1]\n5\n' + b"[" * 100_000 + b'\n{"hal')
    write(log, range(2, 4))
    assert numbers(log) == [0, 1, 2, 3]


@pytest.mark.parametrize("log_again", [True, False])
def test_rotated_files_are_read_in_their_order(log: Path, *, log_again: bool) -> None:
    for number in range(12):
        part = log.with_name(f"{log.name}.{12 - number}")
        write(part, range(number * 10, number * 10 + 10))
        if number < 10:
            content = part.read_bytes()
            part.unlink()
            suffix, compress = (
                (".gz", gzip.compress),
                (".bz2", bz2.compress),
                (".xz", lzma.compress),
            )[number % 3]
            part.with_name(part.name + suffix).write_bytes(compress(content))
    if log_again:
        write(log, range(120, 125))
    everything = list(range(125 if log_again else 120))
    assert numbers(log) == everything
    assert numbers(log, most=17) == everything[-17:]
    assert numbers(log, most=70) == everything[-70:]


@pytest.mark.parametrize("more", ["compress", "compress\ndelaycompress", "nocompress"])
def test_what_logrotate_has_made_is_found(log: Path, tmp_path: Path, more: str) -> None:
    if not os.path.exists(LOGROTATE):
        pytest.skip("there is no logrotate")
    text = f"{log} {{\nrotate 9\nsu {os.geteuid()} {os.getegid()}\n{more}\n"
    (tmp_path / "config").write_text(f"{text}}}\n")
    (tmp_path / "config").chmod(0o644)
    tmp_path.chmod(0o755)
    for number in range(4):
        write(log, range(number * 10, number * 10 + 10))
        argv = (LOGROTATE, "--force", "--state", f"{tmp_path}/state", f"{tmp_path}/config")
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    assert len(os.listdir(tmp_path)) == 6
    write(log, range(40, 45))
    assert numbers(log) == list(range(45))
    assert numbers(log, most=7) == list(range(38, 45))


def test_files_with_a_date_in_their_names_are_read_in_their_order(log: Path) -> None:
    for number, date in enumerate(("20251231", "20260101", "2026010213", "20260103")):
        write(log, range(number * 10, number * 10 + 10))
        content = log.read_bytes()
        log.unlink()
        if number < 3:
            log.with_name(f"{log.name}-{date}.gz").write_bytes(gzip.compress(content))
        else:
            log.with_name(f"{log.name}-{date}").write_bytes(content)
    assert numbers(log) == list(range(40))
    assert numbers(log, most=15) == list(range(25, 40))


def test_a_log_that_is_rotated_meanwhile_is_not_shown_twice(log: Path) -> None:
    write(log, range(3))
    os.link(log, f"{log}.1")
    assert numbers(log) == [0, 1, 2]


def test_other_files_are_none_of_the_log(log: Path) -> None:
    write(log, range(3))
    for name in (".swp", ".1.new", ".old", "-notes", ".1.gz.part", "2"):
        shutil.copy(log, f"{log}{name}")
    assert numbers(log) == [0, 1, 2]


def test_no_more_is_read_than_is_shown(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, range(100))
    monkeypatch.setattr(past, "CHUNK", 1000)
    log.with_name(f"{log.name}.1.gz").write_bytes(b"garbage")
    assert numbers(log, most=3) == [97, 98, 99]


def test_a_rotated_file_that_cannot_be_read_is_said_and_the_others_are_shown(log: Path) -> None:
    write(log, range(3))
    log.with_name(f"{log.name}.1.gz").write_bytes(gzip.compress(b"x" * 1000)[:-10])
    found, trouble = last(str(log), ALL, 10)
    assert [entry["number"] for entry in found] == [0, 1, 2]
    assert trouble.startswith(f"{log}.1.gz cannot be read: ")


def test_a_missing_log_or_directory_has_no_decisions(tmp_path: Path) -> None:
    assert last(f"{tmp_path}/none/decisions.jsonl", ALL, 10) == ([], "")
    assert last("/dev/null", ALL, 10) == ([], "")


def unbroken(lines: list[str]) -> list[str]:
    """Put together again what was broken between words for a terminal."""
    return re.sub(r"\n +", " ", "\n".join(lines)).split("\n")


def test_on_a_terminal_the_newest_are_one_screen(tmp_path: Path) -> None:
    """A person has asked for no number, and what went off the screen was not read."""
    monitor, log = Monitor(tmp_path), tmp_path / "log/decisions.jsonl"
    text = "ns{}: 10.99.0.53 withdrawn by ifupdown: DNS CRITICAL - " + "so " * 20
    entries = [withdrawal(MIDNIGHT + n, f"ns{n}", text=text.format(n)) for n in range(30)]
    log.write_bytes(written(entries))
    piped = monitor.run("history")[1].splitlines()
    assert len(piped) == 20
    argv, environment = monitor.argv("history"), monitor.environment
    shown = on_terminal(argv, environment)
    assert LINES - 3 <= rows(shown) < LINES
    first, *newest = unbroken(shown)
    assert first == f"older decisions are left out: -n 20 shows {20 - len(newest)} more"
    assert newest == piped[-len(newest) :]
    assert unbroken(on_terminal((*argv, "-n", "20"), environment)) == piped


def test_a_pipe_in_place_of_the_log_is_said(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    os.mkfifo(tmp_path / "log/decisions.jsonl")
    code, output = monitor.run("history")
    assert (code, output.count("\n")) == (3, 0)
    assert output.endswith("cannot be read: it is a pipe, not a file: remove it")
