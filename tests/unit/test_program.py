"""A program that is run with a time limit; each way to fail has an exception of its own."""

from __future__ import annotations

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
