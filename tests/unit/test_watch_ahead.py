"""What is asked ahead of an act: each answer is used once, and only while it is fresh."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.endpoint.look import look_questions
from anycast_handlers.errors import OutcomeUnknownError
from anycast_handlers.fleet.values import Endpoint, Ssh, Vip
from anycast_handlers.operation.router_ids import FileRouterIds
from anycast_handlers.routing.see import first_questions, see_routing
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Clock, Deadline
from anycast_handlers.transport.kept import KeptConnections
from anycast_handlers.transport.shell import Query, Reply, Result, Shell
from anycast_handlers.watch.ahead import (
    FRESH_SECONDS,
    Ahead,
    AnsweredAhead,
    Answers,
    Asking,
    asking_along,
)

from anycast_checks.routing import DAEMONS
from tests.support.shell import FakeShell

HERE = Endpoint("ns1", "127.0.0.1")
PLACE = ("127.0.0.1", 22)
PATIENCE = 30.0
CAPTURED = Path(__file__).with_name("captured")


class Now(Clock):
    """A clock that a test sets."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Asked:
    """This host, asked by a command that notes how often it was run."""

    def __init__(self, directory: Path) -> None:
        self.clock = Now()
        self.answers = Answers(self.clock)
        self._notes = directory / "notes"
        self._notes.touch()
        self._connections = KeptConnections(Ssh("root", "", ""), is_local=lambda _: True)

    def argv(self, word: str) -> tuple[str, ...]:
        return ("/bin/sh", "-c", f"echo {word} >>{self._notes}; echo {word}")

    def ask(self, *words: str, keeps: bool, stdin: str = "") -> list[str]:
        """Ask, ahead or as an act does; returns what was answered."""
        connections = AnsweredAhead(self._connections, self.answers, keeps=keeps)
        with connections.open(HERE, Deadline(self.clock, PATIENCE)) as shell:
            if stdin:
                return [shell.run(self.argv(word), stdin).stdout.strip() for word in words]
            return self._all(shell, words)

    def _all(self, shell: Shell, words: tuple[str, ...]) -> list[str]:
        replies = shell.ask_all([Query(self.argv(word), PATIENCE) for word in words])
        return [reply.stdout.strip() for reply in replies if isinstance(reply, Result)]

    @property
    def runs(self) -> list[str]:
        """The words with which the command was run, in order."""
        return self._notes.read_text().split()


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def test_what_was_asked_ahead_is_not_asked_again(asked: Asked) -> None:
    asked.ask("a", "b", keeps=True)
    assert asked.ask("b", "a", keeps=False) == ["b", "a"]
    assert sorted(asked.runs) == ["a", "b"]


def test_only_what_is_missing_is_asked_and_each_answer_comes_to_its_question(
    asked: Asked,
) -> None:
    asked.ask("b", keeps=True)
    assert asked.ask("a", "b", "c", keeps=False) == ["a", "b", "c"]
    assert sorted(asked.runs) == ["a", "b", "c"]


def test_an_answer_is_used_once(asked: Asked) -> None:
    asked.ask("a", keeps=True)
    asked.ask("a", keeps=False)
    asked.ask("a", keeps=False)
    assert asked.runs == ["a", "a"]


def test_an_answer_that_is_not_fresh_any_more_is_asked_for_again(asked: Asked) -> None:
    asked.ask("a", "b", keeps=True)
    asked.clock.now = FRESH_SECONDS
    asked.ask("a", keeps=False)
    asked.clock.now = FRESH_SECONDS + 0.01
    asked.ask("b", keeps=False)
    assert sorted(asked.runs) == ["a", "b", "b"]


def test_a_command_with_an_input_is_an_act_and_is_always_run(asked: Asked) -> None:
    asked.ask("a", keeps=True)
    asked.ask("a", keeps=False, stdin="change it")
    assert asked.runs == ["a", "a"]


def test_of_an_answer_that_was_not_heard_nothing_is_believed(asked: Asked) -> None:
    asked.answers.put(PLACE, asked.argv("a"), OutcomeUnknownError(("a",), "lost"))
    connections = AnsweredAhead(asked._connections, asked.answers)
    with (
        connections.open(HERE, Deadline(asked.clock, PATIENCE)) as shell,
        pytest.raises(OutcomeUnknownError),
    ):
        shell.run(asked.argv("a"))


def test_answers_of_one_endpoint_are_not_those_of_another(asked: Asked) -> None:
    asked.answers.put(("192.0.2.11", 22), asked.argv("a"), Result(0, "of another", ""))
    assert asked.ask("a", keeps=False) == ["a"]


class TestAhead:
    def test_who_needs_the_answers_sees_whether_they_are_there(self, asked: Asked) -> None:
        ahead, begin = Ahead(SYSTEM_CLOCK), threading.Event()

        def ask() -> Answers:
            begin.wait(PATIENCE)
            return asked.answers

        asking = threading.Thread(target=ahead.run, args=(ask,))
        asking.start()
        assert (ahead.is_done, ahead.answers) == (False, None)
        begin.set()
        asking.join()
        assert (ahead.is_done, ahead.answers) == (True, asked.answers)

    def test_where_asking_fails_nobody_waits(self) -> None:
        ahead = Ahead(SYSTEM_CLOCK)

        def fail() -> Answers:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            ahead.run(fail)
        assert (ahead.is_done, ahead.answers) == (True, None)


class TestAlong:
    def test_it_is_asked_with_the_first_question_alone(self, asked: Asked) -> None:
        along = [Query(asked.argv("b"), PATIENCE)]
        connections = AnsweredAhead(asked._connections, asked.answers, lambda *_: along)
        with connections.open(HERE, Deadline(asked.clock, PATIENCE)) as shell:
            assert asked._all(shell, ("a",)) == ["a"]
            assert sorted(asked.runs) == ["a", "b"]
            assert asked._all(shell, ("c", "b")) == ["c", "b"]
            assert sorted(asked.runs) == ["a", "b", "c"]
            assert asked._all(shell, ("b",)) == ["b"]
        assert sorted(asked.runs) == ["a", "b", "b", "c"]

    def test_what_is_not_answered_in_time_is_asked_once_more(self, asked: Asked) -> None:
        """With the time that it may take: a routing daemon may be slow on a busy endpoint."""
        slow = ("/bin/sh", "-c", f"echo b >>{asked._notes}; sleep 0.5; echo b")
        along = [Query(slow, 0.1)]
        connections = AnsweredAhead(asked._connections, asked.answers, lambda *_: along)
        with connections.open(HERE, Deadline(asked.clock, PATIENCE)) as shell:
            assert asked._all(shell, ("a",)) == ["a"]
            (reply,) = shell.ask_all([Query(slow, PATIENCE)])
        assert isinstance(reply, Result)
        assert reply.stdout == "b\n"
        # The word is noted when a command begins; the answer was not kept.
        assert asked.runs.count("b") > 1

    def test_a_look_that_finds_all_well_is_one_command(self, tmp_path: Path) -> None:
        sessions: list[list[tuple[str, ...]]] = []
        vtysh = CAPTURED / "frr-8.4.4-network-3-announce-all.json"

        class Counting(FakeShell):
            def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
                sessions.append([tuple(query.argv) for query in queries])
                return super().ask_all(queries)

        class Here:
            @contextmanager
            def open(
                self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
            ) -> Iterator[Shell]:
                del endpoint, deadline, connecting
                yield Counting(lambda _: Result(0, vtysh.read_text(), ""), is_root=False)

        other = Endpoint("ns2", "192.0.2.12")
        vip = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check", "dns"), (HERE, other))
        asking = Asking(Here(), DAEMONS, FileRouterIds(str(tmp_path)), SYSTEM_CLOCK)
        connections, deadline = asking_along(vip, HERE, asking), Deadline(SYSTEM_CLOCK, PATIENCE)
        with connections.open(HERE, deadline) as shell:
            shell.ask_all(look_questions(vip))
            assert see_routing(shell, vip, DAEMONS).announced
            counted = [tuple(query.argv) for query in first_questions(shell, vip, DAEMONS)]
        looked = [tuple(query.argv) for query in look_questions(vip)]
        # The uptime, from which the time for a change is counted, stays the last of them.
        assert sessions == [[*counted, *looked]]
        assert counted[0][0].endswith("sudo"), counted
        # Another endpoint is asked about itself, and nothing along with that.
        with connections.open(other, deadline) as shell:
            shell.ask_all(look_questions(vip))
        assert sessions[1:] == [looked]
