"""Who waits for the answer to a question of a stream: a thread, or whoever polls anyway."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import dns.flags
import dns.rcode
import pytest

from anycast_checks import check_dns
from anycast_checks.observation import Grade, Observation
from anycast_checks.sampling import Prepared
from anycast_checks.standing import Taken
from anycast_checks.workers import Workers
from tests.support.dns_server import Udp, answering, name_server, over_tcp, reply

RIGHT = answering("A 192.0.2.80")
LIMIT = 30.0


class Ended(NamedTuple):
    """A sample that has ended, and whether a thread has taken it."""

    number: int
    taken: Taken
    by_thread: bool

    @property
    def seen(self) -> Observation:
        assert self.taken.sample, self.taken
        assert self.taken.sample.observation, self.taken
        return self.taken.sample.observation


class Polling:
    """Polls for workers, as the loop of a stream does."""

    def __init__(self, check: Prepared) -> None:
        self._heard, self._bell = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._heard, select.POLLIN)
        self.workers = Workers(check, self._bell, self._poll)

    def close(self) -> None:
        os.close(self._heard)
        os.close(self._bell)

    def next(self) -> Ended:
        """Wait for the next sample that ends."""
        until = time.monotonic() + LIMIT
        while (now := time.monotonic()) < until:
            heard = dict(self._poll.poll(max(0.0, min(until, self.workers.due) - now) * 1000))
            if done := self.workers.look(heard, time.monotonic()):
                return Ended(*done, by_thread=False)
            if self._heard in heard:
                os.read(self._heard, 1)
                done_by_thread = self.workers.ended()
                assert isinstance(done_by_thread, tuple), done_by_thread
                return Ended(*done_by_thread, by_thread=True)
        pytest.fail("no sample has ended")

    def take(self, number: int) -> Ended:
        if done := self.workers.ask(number):
            return Ended(*done, by_thread=False)
        return self.next()


@pytest.fixture
def poll() -> Iterator[Callable[..., Polling]]:
    """Make the workers of a check of a name server at this port."""
    before = threading.excepthook
    with ExitStack() as ends:

        def make(port: int, *more: str) -> Polling:
            words = ("-H", "127.0.0.1", "-p", str(port), "--query", "www.example.org", "-t", "10")
            made = Polling(check_dns.command.prepare([*words, *more]))
            ends.callback(made.close)
            return made

        yield make
    threading.excepthook = before


def in_turn(*behave: Udp) -> Udp:
    """Behave otherwise at each question, and in the end as at the last one."""
    left = list(behave)

    def one(wire: bytes) -> list[bytes]:
        return (left.pop(0) if len(left) > 1 else left[0])(wire)

    return one


def late(wire: bytes) -> list[bytes]:
    time.sleep(0.2)
    return RIGHT(wire)


def truncated(wire: bytes) -> list[bytes]:
    return [reply(wire, flags=dns.flags.TC).to_wire()]


def without_edns(wire: bytes) -> list[bytes]:
    has_edns = wire[11] > 0
    return answering(rcode=dns.rcode.FORMERR)(wire) if has_edns else RIGHT(wire)


def test_the_answer_of_before_needs_no_thread(poll: Callable[..., Polling]) -> None:
    with name_server(RIGHT) as port:
        polling = poll(port, "--expect", "192.0.2.80")
        first, *more = (polling.take(number) for number in range(30))
    assert (first.by_thread, first.seen.grade) == (True, Grade.RIGHT)
    assert [one.number for one in more] == list(range(1, 30))
    assert {one.seen._replace(seconds=None) for one in more} == {first.seen._replace(seconds=None)}
    # A loaded machine may be late with some of the answers.
    assert not all(one.by_thread for one in more)
    for one in (first, *more):
        assert one.taken.sample
        assert (one.taken.sample.address, one.taken.present) == ("127.0.0.1", True)
        assert one.seen.seconds
        assert one.taken.ended - one.taken.began >= one.seen.seconds


@pytest.mark.parametrize(
    ("then", "grade", "says"),
    [
        (answering("A 192.0.2.66"), Grade.WRONG, "192.0.2.80 is missing, got 192.0.2.66"),
        (answering(rcode=dns.rcode.SERVFAIL), Grade.WRONG, "SERVFAIL"),
        (lambda _: [], Grade.SILENT, "no answer within 1 s"),
        (lambda wire: [one[:-1] for one in RIGHT(wire)], Grade.WRONG, "malformed answer"),
        (lambda wire: [b"\0\0" + one[2:] for one in RIGHT(wire)], Grade.WRONG,
         "no answer within 1 s, ignored: answer with another id"),
        (lambda wire: [b"\0\0" + wire[2:], *RIGHT(wire)], Grade.RIGHT, "192.0.2.80"),
        (late, Grade.RIGHT, "192.0.2.80"),
        (truncated, Grade.RIGHT, "192.0.2.80"),
        (without_edns, Grade.RIGHT, "192.0.2.80"),
    ],
)  # fmt: skip
def test_any_other_answer_is_judged_by_a_thread_as_the_check_does(
    poll: Callable[..., Polling], then: Udp, grade: Grade, says: str
) -> None:
    with name_server(in_turn(RIGHT, then), over_tcp(RIGHT)) as port:
        polling = poll(port, "--expect", "192.0.2.80", "-t", "1")
        polling.take(0)
        ended = polling.take(1)
    assert (ended.number, ended.by_thread, ended.seen.grade) == (1, True, grade)
    assert says in ended.seen.text
    # It counts from the question, and not from when the thread has taken over.
    if then is late:
        assert ended.seen.seconds
        assert ended.seen.seconds >= 0.2


def test_a_refusal_is_one(poll: Callable[..., Polling]) -> None:
    with name_server(RIGHT) as port:
        polling = poll(port)
        polling.take(0)
    ended = polling.take(1)
    assert ended.seen.grade is Grade.REFUSED
    assert polling.take(2).seen.grade is Grade.REFUSED


def test_a_second_question_does_not_wait_for_the_first(poll: Callable[..., Polling]) -> None:
    with name_server(in_turn(RIGHT, lambda _: [], RIGHT)) as port:
        polling = poll(port, "-t", "1")
        polling.take(0)
        polling.workers.ask(1)
        polling.workers.ask(2)
        ended = [polling.next(), polling.next()]
    assert [(one.number, one.seen.grade) for one in ended] == [
        (2, Grade.RIGHT),
        (1, Grade.SILENT),
    ]


def test_several_names_are_asked_by_threads(poll: Callable[..., Polling]) -> None:
    with name_server(RIGHT) as port:
        polling = poll(port, "--query", "example.org")
        assert [polling.take(number).by_thread for number in range(3)] == [True] * 3


def test_no_socket_stays_open(poll: Callable[..., Polling]) -> None:
    with name_server(in_turn(RIGHT, RIGHT, late, RIGHT)) as port:
        polling = poll(port)
        polling.take(0)
        polling.take(1)
        before = len(os.listdir("/proc/self/fd"))
        for number in range(2, 8):
            polling.take(number)
        assert len(os.listdir("/proc/self/fd")) == before
