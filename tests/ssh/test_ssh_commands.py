"""Commands over SSH: what reaches them, what comes back, and how they end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from anycast_handlers.errors import OutcomeUnknownError, UnreachableError
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.connections import FreshConnections
from anycast_handlers.transport.local import LocalShell
from anycast_handlers.transport.prompt_socket import PromptSocket
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.shell import LARGEST_OUTPUT, Result, Shell
from anycast_handlers.transport.ssh import SshConnection
from paramiko.common import MSG_CHANNEL_EOF

from lab.waiting import wait_until
from tests.ssh.server import HANG_UP, Sshd

PATIENCE = 30.0
# How long a test waits for the channel of a command that has ended.
WHILE_IT_CLOSES = 0.7
ODD = [
    "two words",
    "it's",
    'a "quoted" word',
    "; id",
    "$(id)",
    "`id`",
    "$HOME",
    "line\nbreak",
    "*",
    "~",
    "",
    "-n",
    "back\\slash",
    "a|b>c<d&e",
    "ü€",
]


@pytest.fixture(params=["ssh", "local"])
def shell(request: pytest.FixtureRequest, sshd: Sshd) -> Iterator[Shell]:
    """Give each kind of shell: both promise the same."""
    if request.param == "local":
        yield LocalShell()
        return
    with sshd.shell(seconds=120.0) as opened:
        yield opened


@pytest.fixture
def over_ssh(sshd: Sshd) -> Iterator[SshConnection]:
    with sshd.shell(seconds=120.0) as opened:
        yield opened


def sh(shell: Shell, script: str, timeout: float = PATIENCE) -> Result:
    return shell.run(("/bin/sh", "-c", script), timeout=timeout)


def test_a_command_gives_status_and_both_streams(shell: Shell) -> None:
    assert sh(shell, "echo out; echo err >&2; exit 7") == Result(7, "out\n", "err\n")


def test_text_reaches_stdin_and_its_end(shell: Shell) -> None:
    assert shell.run(("/bin/cat",), "ü\nlast", PATIENCE) == Result(0, "ü\nlast", "")


def test_without_text_stdin_is_at_its_end(shell: Shell) -> None:
    assert shell.run(("/bin/cat",), timeout=PATIENCE) == Result(0, "", "")


@pytest.mark.parametrize("word", ODD)
def test_a_word_arrives_literally(shell: Shell, word: str) -> None:
    argv = ("/usr/bin/printf", "%s|", "first", word, "last")
    assert shell.run(argv, timeout=PATIENCE).stdout == f"first|{word}|last|"


def test_a_program_that_is_not_there_is_127(shell: Shell) -> None:
    assert shell.run(("/sbin/no-such-program",), timeout=PATIENCE).status == 127


def test_bytes_that_are_no_text_are_replaced(shell: Shell) -> None:
    assert sh(shell, r"printf 'a\377b'").stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_large_output_on_both_streams_arrives_whole(shell: Shell) -> None:
    result = sh(shell, "head -c 500000 /dev/zero | tr '\\0' x | tee /dev/stderr")
    assert (result.status, len(result.stdout), len(result.stderr)) == (0, 500_000, 500_000)


def test_many_commands_use_one_connection(over_ssh: SshConnection) -> None:
    peers = {sh(over_ssh, "echo $SSH_CONNECTION").stdout for _ in range(5)}
    assert len(peers) == 1


def test_a_command_that_does_not_end_is_of_unknown_outcome_and_left_to_itself(
    shell: Shell, tmp_path: Path
) -> None:
    """An `ifup` whose hooks are slow must not be left half done."""
    done, script = tmp_path / "done", f"sleep 4; touch {tmp_path}/done"
    with pytest.raises(OutcomeUnknownError, match=r"touch .*did not end within 2\.0 s") as caught:
        shell.run(("/bin/sh", "-c", script), timeout=2.0)
    assert caught.value.argv == ("/bin/sh", "-c", script)
    assert sh(shell, "echo still there").stdout == "still there\n"
    wait_until(done.exists, "its end")


def test_a_command_that_never_stops_talking_is_of_unknown_outcome(shell: Shell) -> None:
    with pytest.raises(OutcomeUnknownError):
        shell.run(("/usr/bin/yes",), timeout=2.0)
    assert sh(shell, "echo still there").stdout == "still there\n"


def test_of_what_a_local_command_prints_so_much_is_kept() -> None:
    result = sh(LocalShell(), f"head -c {LARGEST_OUTPUT + 1} /dev/zero | tr '\\0' x; exit 5")
    assert (result.status, len(result.stdout)) == (5, LARGEST_OUTPUT)


def test_a_command_that_does_not_read_is_of_unknown_outcome(over_ssh: SshConnection) -> None:
    with pytest.raises(OutcomeUnknownError):
        over_ssh.run(("/bin/sleep", "90"), "x" * 10_000_000, 2.0)


def test_a_command_that_a_signal_ended_never_looks_like_success(shell: Shell) -> None:
    """A login shell may outlive the command and exit with 137, or be replaced by the command."""
    try:
        status = shell.run(("/bin/sh", "-c", "kill -KILL $$"), timeout=PATIENCE).status
    except OutcomeUnknownError:
        return
    assert status == 137


def test_a_command_that_ends_before_it_has_read_all_is_heard_of(over_ssh: SshConnection) -> None:
    """The gate refuses before it reads, and `dd` does where the file is there."""
    ended = over_ssh.run(("/bin/sh", "-c", "echo said >&2; exit 3"), "x" * 10_000_000, PATIENCE)
    assert ended == Result(3, "", "said\n")


def test_a_connection_that_dies_under_a_command_is_of_unknown_outcome(
    over_ssh: SshConnection,
) -> None:
    with pytest.raises(OutcomeUnknownError):
        sh(over_ssh, f"{HANG_UP}; exec sleep 90")
    with pytest.raises(UnreachableError):
        sh(over_ssh, "true")


def test_a_connection_that_dies_while_a_command_is_sent_is_of_unknown_outcome(
    over_ssh: SshConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies between paramiko's look at it and paramiko's wait for a reply, which has no end then.

    No server can be made to die at that moment, so the client's side of the connection is closed.
    """
    prepare = getattr(paramiko.Channel, "_event_pending")  # noqa: B009 - the stubs hide it

    def die(channel: paramiko.Channel) -> None:
        channel.get_transport().close()
        prepare(channel)

    monkeypatch.setattr(paramiko.Channel, "_event_pending", die)
    with pytest.raises(OutcomeUnknownError, match="no reply within"):
        over_ssh.run(("/bin/true",), timeout=2.0)


def test_a_closed_shell_is_unreachable(sshd: Sshd) -> None:
    with sshd.shell() as shell:
        shell.close()
        with pytest.raises(UnreachableError, match="no channel for /bin/true"):
            shell.run(("/bin/true",))


BACKGROUND = {
    "silent": "sleep 90",
    "talking": "while :; do echo more; sleep 0.1; done",
    "shouting": "exec yes",
}


@pytest.mark.parametrize("child", BACKGROUND.values(), ids=BACKGROUND.keys())
def test_a_child_that_keeps_the_streams_open_does_not_delay_the_result(
    shell: Shell, child: str
) -> None:
    """A process that ifup starts may live on and print; the result comes before the time limit."""
    script = f'echo done; sh -c "{child}" & echo $! >&2'
    done = threading.Event()
    results: list[Result] = []

    def run() -> None:
        results.append(sh(shell, script, 100.0))
        done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert done.wait(PATIENCE)
        assert results[0].status == 0
        assert results[0].stdout.startswith("done\n")
        assert sh(shell, "echo still there").stdout == "still there\n"
    finally:
        if results:
            killed = sh(shell, f"kill -KILL {results[0].stderr.split()[0]}")
            assert killed.status == 0 or child != BACKGROUND["silent"]


def test_the_deadline_of_the_run_bounds_every_command(sshd: Sshd) -> None:
    session = sshd.session(6.0)
    try:
        with pytest.raises(OutcomeUnknownError):
            session.run(("/bin/sleep", "90"), timeout=1000.0)
    finally:
        session.close()


def test_this_host_is_not_asked_over_ssh(sshd: Sshd, tmp_path: Path) -> None:
    """On this host the shell needs neither identity nor known hosts."""
    missing = sshd.ssh()._replace(identity=f"{tmp_path}/none", known_hosts=f"{tmp_path}/none")
    connections = FreshConnections(missing)
    with connections.open(sshd.endpoint(), Deadline(SYSTEM_CLOCK, 30)) as shell:
        assert isinstance(shell, Session)
        assert isinstance(shell._connection, LocalShell)
        assert shell.run(("/bin/echo", "here")) == Result(0, "here\n", "")


def test_what_was_not_sent_is_sent_over_a_new_connection(sshd: Sshd) -> None:
    """A command without an answer is not sent again: only the caller may decide to repeat it."""
    shell = sshd.session(60.0)
    try:
        before = sh(shell, "echo $SSH_CONNECTION").stdout
        with pytest.raises(OutcomeUnknownError):
            sh(shell, f"{HANG_UP}; exec sleep 90")
        after = sh(shell, "echo $SSH_CONNECTION").stdout
        assert after
        assert after != before
    finally:
        shell.close()


def test_a_command_on_this_host_sees_no_environment_and_no_directory_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANYCAST_SECRET", "x")
    shown = sh(LocalShell(), "pwd; env").stdout
    assert shown.startswith("/\n")
    assert "ANYCAST" not in shown


def test_what_was_read_ahead_comes_in_its_turn_and_before_the_end() -> None:
    ours, theirs = socket.socketpair()
    with PromptSocket(fileno=ours.detach()) as prompt:
        prompt.settimeout(PATIENCE)
        theirs.sendall(b"head")
        assert prompt.recv(1) == b"h"
        theirs.sendall(b"next")
        theirs.close()
        assert [prompt.recv(64) for _ in range(3)] == [b"ead", b"next", b""]


def test_a_command_that_ends_before_its_input_does_not_take_the_connection_with_it(
    over_ssh: SshConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its input is sent at the moment at which sshd closes its channel."""
    send = paramiko.Transport._send_user_message  # type: ignore[attr-defined]

    def send_late(self: paramiko.Transport, message: paramiko.Message) -> None:
        if message.asbytes()[0] == MSG_CHANNEL_EOF:
            channels = self._channels.values()  # type: ignore[attr-defined]
            end = time.monotonic() + WHILE_IT_CLOSES
            while time.monotonic() < end and not any(one.closed for one in channels):
                time.sleep(0.01)
        send(self, message)

    monkeypatch.setattr(paramiko.Transport, "_send_user_message", send_late)
    assert over_ssh.run(("/bin/echo", "first"), "", PATIENCE) == Result(0, "first\n", "")
    assert over_ssh.run(("/bin/echo", "next"), "", PATIENCE) == Result(0, "next\n", "")
