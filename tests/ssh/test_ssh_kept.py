"""Connections that are kept open for streams and for all runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from anycast_handlers.errors import OutcomeUnknownError
from anycast_handlers.transport.bounded import open_channel
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.each import at_once
from anycast_handlers.transport.kept import MOST_SESSIONS, MOST_STREAMS, KeptConnections
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.shell import Query, Reply, Result

from lab.waiting import wait_until
from tests.ssh.server import HANG_UP, Sshd

PATIENCE = 30.0
BEATS = ("/bin/sh", "-c", "while echo beat; do sleep 0.1; done")
# The port of the client tells one connection from another.
WHICH = ("/bin/sh", "-c", "echo $SSH_CONNECTION")


@pytest.fixture(params=["near", "far"])
def kept(
    sshd: Sshd, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KeptConnections]:
    if request.param == "far":
        seem_far(monkeypatch)
    connections = kept_to(sshd)
    yield connections
    connections.close()


def kept_to(sshd: Sshd) -> KeptConnections:
    return KeptConnections(sshd.ssh(), is_local=lambda _: False)


def seem_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every endpoint for one that is far away."""
    monkeypatch.setattr("anycast_handlers.transport.kept.FAR", -1.0)


@contextmanager
def session(connections: KeptConnections, sshd: Sshd) -> Iterator[Session]:
    with connections.open(sshd.endpoint(), Deadline(SYSTEM_CLOCK, PATIENCE)) as opened:
        yield opened


def which(connections: KeptConnections, sshd: Sshd) -> str:
    with session(connections, sshd) as shell:
        return shell.run(WHICH, timeout=PATIENCE).stdout


class Heard(SimpleQueue[str | None]):
    """The lines of a stream, which lasts as long as the object."""

    def __init__(self, connections: KeptConnections, sshd: Sshd, number: int = 0) -> None:
        connecting = Deadline(SYSTEM_CLOCK, PATIENCE)
        self.stream = connections.stream(sshd.endpoint(), BEATS, self.put, connecting, number)
        assert self.get(timeout=PATIENCE) == "beat"


def drain(heard: Heard) -> list[str | None]:
    """Take what was heard until now, and the next line, or the end."""
    lines = [heard.get(timeout=PATIENCE) for _ in range(heard.qsize())]
    return lines if None in lines else [*lines, heard.get(timeout=PATIENCE)]


def test_all_runs_and_streams_share_one_connection(kept: KeptConnections, sshd: Sshd) -> None:
    first = which(kept, sshd)
    heard = Heard(kept, sshd)
    assert which(kept, sshd) == first
    assert set(drain(heard)) == {"beat"}


def test_a_late_command_does_not_take_the_stream_with_it(kept: KeptConnections, sshd: Sshd) -> None:
    heard = Heard(kept, sshd)
    first = which(kept, sshd)
    with (
        session(kept, sshd) as shell,
        pytest.raises(OutcomeUnknownError, match="did not end within"),
    ):
        shell.run(("/bin/sleep", "60"), timeout=2.0)
    assert set(drain(heard)) == {"beat"}
    assert which(kept, sshd) == first


def test_more_commands_at_once_than_a_connection_has_sessions_wait_for_each_other(
    kept: KeptConnections, sshd: Sshd
) -> None:
    heard = [Heard(kept, sshd, number) for number in range(MOST_STREAMS)]

    def ask(number: int) -> list[str]:
        with session(kept, sshd) as shell:
            replies = shell.ask_all([Query(("/bin/echo", str(number)), PATIENCE)] * 7)
        return [reply.stdout for reply in replies if isinstance(reply, Result)]

    assert at_once(ask, range(6)) == [[f"{number}\n"] * 7 for number in range(6)]
    assert [set(drain(one)) for one in heard] == [{"beat"}] * MOST_STREAMS


def test_an_account_without_forced_command_is_asked_on_the_same_connection(
    kept: KeptConnections, sshd: Sshd
) -> None:
    """None is known to take several at once before it has done so."""
    heard = [Heard(kept, sshd, number) for number in range(MOST_STREAMS)]

    def ask(_: int) -> set[Reply]:
        with session(kept, sshd) as shell:
            return set(shell.ask_all([Query(WHICH, PATIENCE)] * 7))

    first = which(kept, sshd)
    assert at_once(ask, range(4)) == [{Result(0, first, "")}] * 4
    assert [set(drain(one)) for one in heard] == [{"beat"}] * MOST_STREAMS


def test_more_streams_than_a_connection_has_room_for_get_another_one(
    kept: KeptConnections, sshd: Sshd
) -> None:
    heard = [Heard(kept, sshd, number) for number in range(MOST_STREAMS + 1)]
    kept.drop(sshd.endpoint(), MOST_STREAMS)
    assert drain(heard[-1])[-1] is None
    assert set(drain(heard[0])) == {"beat"}


def test_a_connection_that_is_lost_ends_its_streams_and_is_opened_again(
    kept: KeptConnections, sshd: Sshd
) -> None:
    heard, first = Heard(kept, sshd), which(kept, sshd)
    with session(kept, sshd) as shell, pytest.raises(OutcomeUnknownError):
        shell.run(("/bin/sh", "-c", f"{HANG_UP}; exec sleep 60"), timeout=PATIENCE)
    while heard.get(timeout=PATIENCE) is not None:
        pass
    assert which(kept, sshd) != first
    assert set(drain(Heard(kept, sshd))) == {"beat"}


def test_far_away_a_command_finds_its_channel_open(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    seem_far(monkeypatch)
    opened: list[object] = []

    def counted(*words: Any) -> Any:
        made = open_channel(*words)
        opened.append(words)
        return made

    monkeypatch.setattr("anycast_handlers.transport.ssh.open_channel", counted)
    kept = kept_to(sshd)
    try:
        heard = Heard(kept, sshd)
        which(kept, sshd)
        ready = 1 + MOST_SESSIONS - 1  # the first command, and all but the stream
        wait_until(lambda: len(opened) == ready, "the spare channels are open")
        with session(kept, sshd) as shell:
            # There is no forced command that would take several in one session.
            echo = Query(("/bin/echo", "well"), PATIENCE, takes_long=True)
            assert shell.ask_all([echo] * 7) == [Result(0, "well\n", "")] * 7
            assert shell.run(("/bin/cat",), "well\n", PATIENCE).stdout == "well\n"
            assert len(opened) == ready
        wait_until(lambda: len(opened) == ready + 8, "they are replaced")
        # A further stream finds room, and takes it from the spare channels.
        another = Heard(kept, sshd, 1)
        assert set(drain(heard)) == set(drain(another)) == {"beat"}
    finally:
        kept.close()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_far_away_all_goes_on_where_sshd_allows_few_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    seem_far(monkeypatch)
    with Sshd(tmp_path, more=f"MaxSessions {most}").running() as sshd:
        kept = kept_to(sshd)
        try:
            heard = Heard(kept, sshd)
            for _ in range(3):
                assert which(kept, sshd)
            with session(kept, sshd) as shell:
                replies = shell.ask_all([Query(("/bin/echo", "well"), PATIENCE)] * 7)
                assert replies == [Result(0, "well\n", "")] * 7
            assert set(drain(heard)) == {"beat"}
        finally:
            kept.close()


def test_where_sshd_allows_a_single_session_commands_get_connections_of_their_own(
    tmp_path: Path,
) -> None:
    with Sshd(tmp_path, more="MaxSessions 1").running() as sshd:
        kept = kept_to(sshd)
        try:
            heard = Heard(kept, sshd)
            assert which(kept, sshd) != which(kept, sshd)
            assert set(drain(heard)) == {"beat"}
        finally:
            kept.close()
