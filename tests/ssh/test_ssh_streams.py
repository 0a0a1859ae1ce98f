"""Commands that go on: their lines as they come, over SSH and on this host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from anycast_handlers.errors import CommandFailedError, UnreachableError
from anycast_handlers.transport.local import LocalShell
from anycast_handlers.transport.shell import LONGEST_LINE, Shell

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


def test_the_lines_come_while_the_command_goes_on(shell: Shell) -> None:
    stream = shell.stream(sh(COUNT))
    try:
        assert [stream.read_line(PATIENCE) for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(TimeoutError):
            stream.read_line(0.05)
    finally:
        stream.close()


def test_its_end_is_told_and_half_a_line_is_none(shell: Shell) -> None:
    stream = shell.stream(sh("printf 'whole\\nhalf'"))
    try:
        assert stream.read_line(PATIENCE) == "whole"
        assert stream.read_line(PATIENCE) is None
        assert stream.read_line(PATIENCE) is None
    finally:
        stream.close()


def test_a_line_without_end_is_refused_before_it_fills_the_memory(shell: Shell) -> None:
    stream = shell.stream(sh("exec cat /dev/zero"))
    try:
        with pytest.raises(CommandFailedError, match=f"more than {LONGEST_LINE} bytes"):
            stream.read_line(PATIENCE)
    finally:
        stream.close()


def test_a_command_ends_with_the_connection_that_listened_to_it(sshd: Sshd, tmp_path: Path) -> None:
    """No process is left on an endpoint; sshd goes on reading until the connection ends."""
    over = tmp_path / "over"
    with sshd.shell() as shell:
        script = f"trap '' PIPE; while echo beat; do sleep 0.05; done 2>/dev/null; : >{over}"
        stream = shell.stream(sh(script))
        assert stream.read_line(PATIENCE) == "beat"
        stream.close()
    wait_for(over)


def test_a_command_on_this_host_ends_with_whoever_listened_to_it(tmp_path: Path) -> None:
    over = tmp_path / "over"
    script = f"trap ': >{over}; exit' TERM; echo begun; while :; do sleep 0.05; done"
    stream = LocalShell().stream(sh(script))
    assert stream.read_line(PATIENCE) == "begun"
    stream.close()
    wait_for(over)


def test_other_commands_run_beside_it(sshd: Sshd) -> None:
    with sshd.shell() as shell:
        stream = shell.stream(sh(COUNT))
        try:
            assert stream.read_line(PATIENCE) == "0"
            assert shell.run(("/bin/echo", "beside")).stdout == "beside\n"
            assert stream.read_line(PATIENCE) == "1"
        finally:
            stream.close()


def test_a_connection_that_is_lost_ends_it(tmp_path: Path) -> None:
    with Sshd(tmp_path).running() as server, server.shell() as shell:
        stream = shell.stream(sh(f"echo first; read -r x </dev/null; {HANG_UP}; exec sleep 90"))
        assert stream.read_line(PATIENCE) == "first"
        assert stream.read_line(PATIENCE) is None
        stream.close()
        with pytest.raises(UnreachableError):
            shell.stream(("/bin/true",))


def test_a_program_that_is_not_there(sshd: Sshd) -> None:
    """Over SSH a shell says so on stderr, and the stream ends; on this host it never begins."""
    with pytest.raises(UnreachableError, match="cannot run /no/such"):
        LocalShell().stream(("/no/such",))
    with sshd.shell() as shell:
        assert shell.stream(("/no/such",)).read_line(PATIENCE) is None


def test_a_run_streams_through_its_session(sshd: Sshd) -> None:
    session = sshd.session(60.0)
    try:
        stream = session.stream(("/bin/echo", "here"))
        assert stream.read_line(PATIENCE) == "here"
    finally:
        session.close()
