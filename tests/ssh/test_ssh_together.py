"""Several questions in one session, where the account's forced command takes several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.errors import OutcomeUnknownError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.gate import files
from anycast_handlers.gate.allowed import Allowed, Command
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.shell import LARGEST_OUTPUT, Query, Reply, Result
from anycast_handlers.transport.together import ASK

from tests.ssh.server import HANG_UP, Sshd, public
from tests.support.namespace import VIP

PATIENCE = 30.0
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check",), (Endpoint("ns1", "192.0.2.11"),))


class Gate:
    """An sshd whose account has the forced command, with a list of what a test asks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sshd = Sshd(directory)
        self._list = directory / "gate.allow"
        self._asked = directory / "asked"
        self._commands: list[Command] = []
        self.install(files.gate())

    def install(self, text: str) -> None:
        """Install this text as the forced command, which notes what it is asked for."""
        text = text.replace(files.ALLOW, str(self._list)).replace("logger -t", ": -t")
        note = f'#!/bin/sh\n[ $# -gt 0 ] || echo "asked $SSH_ORIGINAL_COMMAND" >>{self._asked}\n'
        program = self.directory / "anycast-gate"
        program.write_text(note + text)
        program.chmod(0o755)
        line = f'command="{program}" {public(self.sshd.identity)}\n'
        (self.directory / "authorized_keys").write_text(line)

    @property
    def asked(self) -> list[str]:
        """The first word of each command that was asked for."""
        lines = self._asked.read_text().splitlines()
        return [line.split(" ")[1] for line in lines if line.startswith("asked ")]

    def query(self, script: str, timeout: float = PATIENCE, *, takes_long: bool = False) -> Query:
        """Make a query that runs a script, and put it on the list."""
        file = self.directory / f"script{len(self._commands)}"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        query = Query((str(file),), timeout, takes_long)
        self._commands.append(Command((str(file),), is_fed=False))
        self._list.write_text(files.allow([Allowed(RESOLVER, tuple(self._commands), ())]))
        return query

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Log in."""
        with self.sshd.running():
            session = self.sshd.session(120.0)
            try:
                yield session
            finally:
                session.close()

    def ask(self, *queries: Query) -> list[Reply]:
        """Ask these at once."""
        with self.session() as session:
            return session.ask_all(queries)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_they_are_asked_in_one_session_and_answer_in_their_order(gate: Gate) -> None:
    scripts = ("echo a", "echo a >&2; exit 3", "printf 'b\\n\\n'")
    assert gate.ask(*map(gate.query, scripts)) == [
        Result(0, "a\n", ""),
        Result(3, "", "a\n"),
        Result(0, "b\n\n", ""),
    ]
    assert gate.asked == [ASK]


def test_what_takes_long_is_asked_beside_them(gate: Gate, tmp_path: Path) -> None:
    """The two wait for each other."""
    one, two = tmp_path / "one", tmp_path / "two"
    os.mkfifo(one)
    os.mkfifo(two)
    long = gate.query(f"cat {one}; echo 2 >{two}", takes_long=True)
    assert gate.ask(gate.query("echo a"), long, gate.query(f"echo 1 >{one}; cat {two}")) == [
        Result(0, "a\n", ""),
        Result(0, "1\n", ""),
        Result(0, "2\n", ""),
    ]
    assert sorted(gate.asked) == sorted((ASK, long.argv[0]))


@pytest.mark.parametrize("script", ["exec sleep 90", "exec yes", "exec yes >&2"])
def test_one_that_hangs_is_of_unknown_outcome_and_the_others_answer(
    gate: Gate, script: str
) -> None:
    hanging = gate.query(script, 0.5)
    before, hangs, after, last = gate.ask(
        gate.query("echo a; echo b >&2"), hanging, gate.query("echo c"), gate.query("echo d >&2")
    )
    assert (before, after, last) == (
        Result(0, "a\n", "b\n"),
        Result(0, "c\n", ""),
        Result(0, "", "d\n"),
    )
    assert isinstance(hangs, OutcomeUnknownError)
    assert (hangs.argv, hangs.why) == (hanging.argv, "it did not end within 0.5 s")
    assert gate.asked[0] == ASK


def test_one_that_takes_all_its_time_takes_none_of_the_others(gate: Gate) -> None:
    """All have the same time, and two of them hang."""
    hang, short = "exec sleep 90", "sleep 0.2;"
    scripts = (f"{short} echo a", hang, f"{short} echo c >&2", hang, f"{short} echo e")
    before, hangs, between, hangs_too, last = gate.ask(*(gate.query(one, 3.0) for one in scripts))
    assert (before, between, last) == (
        Result(0, "a\n", ""),
        Result(0, "", "c\n"),
        Result(0, "e\n", ""),
    )
    assert isinstance(hangs, OutcomeUnknownError)
    assert isinstance(hangs_too, OutcomeUnknownError)


def test_one_that_is_slow_answers_too(gate: Gate, tmp_path: Path) -> None:
    """The question behind it is asked in another session, and lets it end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    slow = gate.query(f"cat {fifo}; echo b >&2", 6.0)
    last = gate.query(f"echo a >{fifo}", 6.0)
    assert gate.ask(gate.query("echo a"), slow, last)[1] == Result(0, "a\n", "b\n")


@pytest.mark.parametrize("number", [1, 2, 50_000])
def test_marks_that_nobody_asked_for_are_not_taken_for_answers(gate: Gate, number: int) -> None:
    forge = f'set -- $SSH_ORIGINAL_COMMAND; printf "%{number}s" | sed "s/ /\\n$2 0\\n/g"\n'
    gate.install(f"#!/bin/sh\n{forge}")
    replies = gate.ask(gate.query("echo a"), gate.query("echo b"))
    assert len(replies) == 2


def test_long_outputs_arrive_whole(gate: Gate) -> None:
    script = "head -c 500000 /dev/zero | tr '\\0' x | tee /dev/stderr"
    for reply in gate.ask(gate.query(script), gate.query(script)):
        assert isinstance(reply, Result)
        assert (reply.status, len(reply.stdout), len(reply.stderr)) == (0, 500_000, 500_000)
    assert gate.asked == [ASK]


def test_what_prints_too_much_is_of_unknown_outcome(gate: Gate) -> None:
    long = gate.query(f"head -c {2 * LARGEST_OUTPUT} /dev/zero", 2.0)
    first, second = gate.ask(long, gate.query("echo a"))
    assert isinstance(first, OutcomeUnknownError)
    assert second == Result(0, "a\n", "")


@pytest.mark.parametrize("end", ["kill -9 $PPID", HANG_UP], ids=["command", "connection"])
def test_what_was_lost_is_asked_again(gate: Gate, tmp_path: Path, end: str) -> None:
    once = tmp_path / "once"
    lost = f"test -e {once} || {{ touch {once}; {end}; exit; }}; echo b"
    answers = gate.ask(gate.query("echo a"), gate.query(lost), gate.query("echo c"))
    assert answers == [Result(0, f"{letter}\n", "") for letter in "abc"]
    assert gate.asked[0] == ASK


def test_what_is_not_listed_is_refused_alone(gate: Gate) -> None:
    first, second = gate.ask(Query(("/bin/echo", "b")), gate.query("echo a"))
    assert isinstance(first, Result)
    assert (first.status, first.stderr) == (126, "anycast-gate: refused: /bin/echo ...\n")
    assert second == Result(0, "a\n", "")
    assert gate.asked == [ASK]


def test_a_forced_command_of_an_older_version_is_asked_one_by_one(gate: Gate) -> None:
    gate.install(files.gate().replace(f"{ASK} ", "none "))
    queries = (gate.query("echo a"), gate.query("echo b >&2; exit 4"))
    with gate.session() as session:
        for _ in range(2):
            assert session.ask_all(queries) == [Result(0, "a\n", ""), Result(4, "", "b\n")]
    assert gate.asked.count(ASK) == 1
    assert len(gate.asked) == 5
