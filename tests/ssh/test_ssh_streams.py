"""Commands that go on: their lines as they come, over SSH and on this host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
from anycast_handlers.errors import UnreachableError
from anycast_handlers.transport.local import LocalShell
from anycast_handlers.transport.shell import LONGEST_LINE, Shell, Stream

from lab.waiting import wait_until
from tests.ssh.server import HANG_UP, Sshd

PATIENCE = 30.0
COUNT = "i=0; while [ $i -lt 3 ]; do echo $i; i=$((i + 1)); done; exec sleep 600"


@pytest.fixture(params=["ssh", "local"])
def shell(request: pytest.FixtureRequest, sshd: Sshd) -> Iterator[Shell]:
    """Give a shell over SSH, and a shell of this host."""
    if request.param == "local":
        yield LocalShell()
        return
    with sshd.shell() as opened:
        yield opened


def sh(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def wait_for(file: Path) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < end, f"there is no {file}"
        time.sleep(0.02)


class Heard:
    """What is heard of a command that goes on."""

    def __init__(self, shell: Shell, *argv: str) -> None:
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self.stream: Stream = shell.stream(argv, self._lines.put)

    def next(self, seconds: float = PATIENCE) -> str | None:
        """Wait for the next line; None is the end. Raises: Empty, where none comes in time."""
        return self._lines.get(timeout=seconds)


def test_the_lines_come_while_the_command_goes_on(shell: Shell) -> None:
    heard = Heard(shell, *sh(COUNT))
    try:
        assert [heard.next() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(Empty):
            heard.next(0.05)
    finally:
        heard.stream.close()


def test_its_end_is_told_once_and_half_a_line_is_none(shell: Shell) -> None:
    heard = Heard(shell, *sh("printf 'whole\\nhalf'"))
    try:
        assert heard.next() == "whole"
        assert heard.next() is None
        with pytest.raises(Empty):
            heard.next(0.05)
    finally:
        heard.stream.close()


def test_a_line_without_end_is_refused_before_it_fills_the_memory(shell: Shell) -> None:
    heard = Heard(shell, *sh("exec cat /dev/zero"))
    try:
        assert heard.next() is None
        assert heard.stream.trouble == f"it said a line of more than {LONGEST_LINE} bytes"
    finally:
        heard.stream.close()


def test_a_command_ends_with_the_connection_that_listened_to_it(sshd: Sshd, tmp_path: Path) -> None:
    """No process is left on an endpoint; sshd goes on reading until the connection ends."""
    over = tmp_path / "over"
    with sshd.shell() as shell:
        script = f"trap '' PIPE; while echo beat; do sleep 0.05; done 2>/dev/null; : >{over}"
        heard = Heard(shell, *sh(script))
        assert heard.next() == "beat"
        heard.stream.close()
    wait_for(over)


def test_a_command_on_this_host_ends_with_whoever_listened_to_it(tmp_path: Path) -> None:
    over = tmp_path / "over"
    script = f"trap ': >{over}; exit' TERM; echo begun; while :; do sleep 0.05; done"
    heard = Heard(LocalShell(), *sh(script))
    assert heard.next() == "begun"
    heard.stream.close()
    wait_for(over)


def test_a_command_on_this_host_that_does_not_want_to_end_is_killed_with_all_its_own() -> None:
    heard = Heard(LocalShell(), *sh("trap '' TERM; sleep 600 & echo $!; while :; do wait; done"))
    child = heard.next()
    heard.stream.close()
    assert heard.next() is None
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "its child has ended")


def test_other_commands_run_beside_it(sshd: Sshd) -> None:
    with sshd.shell() as shell:
        heard = Heard(shell, *sh(COUNT))
        try:
            assert heard.next() == "0"
            assert shell.run(("/bin/echo", "beside")).stdout == "beside\n"
            assert heard.next() == "1"
        finally:
            heard.stream.close()


def test_a_connection_that_is_lost_ends_it(tmp_path: Path) -> None:
    with Sshd(tmp_path).running() as server, server.shell() as shell:
        go = tmp_path / "go"
        wait = f"while [ ! -e {go} ]; do sleep 0.05; done"
        heard = Heard(shell, *sh(f"echo first; {wait}; {HANG_UP}; exec sleep 90"))
        assert heard.next() == "first"
        go.touch()
        assert heard.next() is None
        heard.stream.close()
        with pytest.raises(UnreachableError):
            Heard(shell, "/bin/true")


def test_a_program_that_is_not_there(sshd: Sshd) -> None:
    """Over SSH a shell says so on stderr, and the stream ends; on this host it never begins."""
    with pytest.raises(UnreachableError, match="cannot run /no/such"):
        Heard(LocalShell(), "/no/such")
    with sshd.shell() as shell:
        heard = Heard(shell, "/no/such")
        assert heard.next() is None
        assert "/no/such" in heard.stream.trouble
        assert heard.stream.trouble == heard.stream.trouble, (
            "it is told as often as it is asked for"
        )


def test_a_run_streams_through_its_session(sshd: Sshd) -> None:
    session = sshd.session(60.0)
    try:
        assert Heard(session, "/bin/echo", "here").next() == "here"
    finally:
        session.close()
