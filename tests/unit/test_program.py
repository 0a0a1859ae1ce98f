"""A program that is run with a time limit; each way to fail has an exception of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from anycast_checks.errors import NotStartedError, ProgramTimeoutError
from anycast_checks.program import run_program

LIMIT = 1000


def test_a_program_that_ends_in_time_tells_how() -> None:
    argv = ("/bin/sh", "-c", "cat; echo bad >&2; exit 7")
    ended = run_program(argv, time.monotonic() + 10, LIMIT, stdin=b"said")

    assert (ended.status, ended.stdout, ended.stderr, ended.cut) == (7, b"said", b"bad\n", False)


def test_a_program_that_takes_too_long_is_a_time_out() -> None:
    with pytest.raises(ProgramTimeoutError, match=r"^sleep did not end in time$"):
        run_program(("/bin/sleep", "600"), time.monotonic() + 0.1, LIMIT)


def test_a_program_that_is_not_there_was_not_started() -> None:
    with pytest.raises(NotStartedError, match="cannot run /nonexistent: no such file or directory"):
        run_program(("/nonexistent",), time.monotonic() + 10, LIMIT)


def test_a_program_at_the_terminal_can_ask_a_person() -> None:
    """Another one has a session of its own, which no terminal belongs to."""
    script = """
import time
from anycast_checks.program import run_program
asks = ("sh", "-c", "read -r word </dev/tty; echo got $word")
print(run_program(asks, time.monotonic() + 30, 1000, at_terminal=True))
"""
    ours, theirs = pty.openpty()
    argv = ("setsid", "--ctty", "--wait", sys.executable, "-c", script)
    os.write(ours, b"typed\n")
    ended = subprocess.run(argv, stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert "stdout=b'got typed\\n'" in ended.stdout, ended


def test_a_program_at_the_terminal_may_leave_it_as_it_was() -> None:
    """It is asked to end, and killed only where it does not."""
    tidy = "trap 'echo tidied >&3; exit' TERM; while :; do sleep 0.01; done"
    stubborn = "trap '' TERM; while :; do sleep 0.01; done"
    reading, writing = os.pipe()
    for script in (f"exec 3>/proc/{os.getpid()}/fd/{writing}; {tidy}", stubborn):
        argv = ("/bin/sh", "-c", script)
        with pytest.raises(ProgramTimeoutError):
            run_program(argv, time.monotonic() + 0.5, LIMIT, at_terminal=True)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read() == "tidied\n"
