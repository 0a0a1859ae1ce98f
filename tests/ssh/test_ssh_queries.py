"""Several questions to one endpoint: at the same time where it can, and each to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from anycast_handlers.errors import OutcomeUnknownError, UnreachableError
from anycast_handlers.transport.shell import Query, Result, Shell

from tests.ssh.server import HANG_UP, Sshd

PATIENCE = 30.0


@pytest.fixture
def shell(sshd: Sshd) -> Iterator[Shell]:
    opened = sshd.session(120.0)
    yield opened
    opened.close()


def query(script: str, timeout: float = PATIENCE) -> Query:
    return Query(("/bin/sh", "-c", script), timeout)


def test_they_run_at_the_same_time_and_answer_in_their_order(shell: Shell, tmp_path: Path) -> None:
    """Each of the two questions waits for the other, so they must run at the same time."""
    one, two = tmp_path / "one", tmp_path / "two"
    os.mkfifo(one)
    os.mkfifo(two)
    first, second = f"cat {one}; echo 2 >{two}", f"echo 1 >{one}; cat {two}"
    assert shell.ask_all((query(first), query(second), query("exit 3"))) == [
        Result(0, "1\n", ""),
        Result(0, "2\n", ""),
        Result(3, "", ""),
    ]


def test_one_that_hangs_is_of_unknown_outcome_and_the_others_answer(shell: Shell) -> None:
    answers = shell.ask_all((query("echo a"), query("exec sleep 90", 2.0), query("echo b")))
    assert (answers[0], answers[2]) == (Result(0, "a\n", ""), Result(0, "b\n", ""))
    assert isinstance(answers[1], OutcomeUnknownError)
    assert answers[1].why == "it did not end within 2.0 s"


@pytest.mark.parametrize("end", ["kill -9 $$", HANG_UP], ids=["command", "connection"])
def test_what_was_lost_is_asked_again(shell: Shell, tmp_path: Path, end: str) -> None:
    """A question changes nothing, and whether the handler acts must not hang on a lost one."""
    once = tmp_path / "once"
    lost = f"test -e {once} || {{ touch {once}; {end}; sleep 90; }}; echo b"
    answers = shell.ask_all((query("echo a"), query(lost), query("echo c")))
    assert answers == [Result(0, f"{letter}\n", "") for letter in "abc"]


def test_what_is_lost_each_time_is_of_unknown_outcome(shell: Shell) -> None:
    answers = shell.ask_all((query("echo a"), query("kill -9 $$")))
    assert answers[0] == Result(0, "a\n", "")
    assert isinstance(answers[1], OutcomeUnknownError)


def test_an_sshd_that_allows_one_session_is_asked_one_by_one(tmp_path: Path) -> None:
    queries = (query("echo a"), query("echo b"), query("exec sleep 90", 2.0))
    with Sshd(tmp_path, more="MaxSessions 1").running() as server:
        shell = server.session(120.0)
        try:
            answers = shell.ask_all(queries)
        finally:
            shell.close()
    assert answers[:2] == [Result(0, "a\n", ""), Result(0, "b\n", "")]
    assert isinstance(answers[2], OutcomeUnknownError)


def test_where_nothing_can_be_sent_that_is_said(tmp_path: Path) -> None:
    with Sshd(tmp_path).running() as server:
        shell = server.session(20.0)
    try:
        with pytest.raises(UnreachableError):
            shell.ask_all((query("echo a"), query("echo b")))
    finally:
        shell.close()
