"""A DNS question that a stream asks again: the same answer is judged once, any other one anew."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest

from anycast_checks import check_dns, dns_answer, dns_exchange
from anycast_checks.observation import Grade, Observation
from anycast_checks.run import CheckRun
from anycast_checks.sampling import Prepared, take_sample
from tests.support.dns_server import Udp, answering, name_server, over_tcp, reply

RIGHT = answering("A 192.0.2.80")


class Server:
    """Behaves as the test says at each question, and keeps all queries."""

    def __init__(self, *behave: Udp) -> None:
        self._behave = behave
        self.asked: list[bytes] = []

    def __call__(self, wire: bytes) -> list[bytes]:
        self.asked.append(wire)
        return self._behave[min(len(self.asked), len(self._behave)) - 1](wire)


def prepare(port: int, *more: str, query: str = "www.example.org") -> Prepared:
    words = ("-H", "127.0.0.1", "-p", str(port), "--query", query, "-t", "2", "--tries", "1")
    return check_dns.command.prepare([*words, *more])


def take(check: Prepared) -> Observation:
    seen = take_sample(check, CheckRun()).observation
    assert seen
    return seen


def test_the_same_answer_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    parse = dns_answer.parse

    def counting(query: dns.message.Message, wire: bytes) -> object:
        read.append(wire)
        return parse(query, wire)

    monkeypatch.setattr(dns_exchange, "parse", counting)
    server = Server(RIGHT)
    with name_server(server) as port:
        check = prepare(port, "--expect", "192.0.2.80")
        seen = [take(check) for _ in range(4)]
    assert len(read) == 1
    assert {one._replace(seconds=None) for one in seen} == {seen[0]._replace(seconds=None)}
    assert seen[0].grade is Grade.RIGHT
    assert len({one.seconds for one in seen}) > 1
    assert len({wire[2:] for wire in server.asked}) == 1
    assert len({wire[:2] for wire in server.asked}) > 1, "each query has an id of its own"


@pytest.mark.parametrize(
    ("then", "says"),
    [
        (answering("A 192.0.2.66"), "192.0.2.80 is missing, got 192.0.2.66"),
        (answering("A 192.0.2.80", rcode=dns.rcode.SERVFAIL), "SERVFAIL"),
        (answering(), "no such record"),
        (lambda _: [], "no answer within 2 s"),
        (lambda wire: [one[:-1] for one in RIGHT(wire)], "malformed answer"),
        (lambda wire: [b"\0\0" + one[2:] for one in RIGHT(wire)], "answer with another id"),
    ],
)
def test_any_other_answer_is_judged_anew(then: Udp, says: str) -> None:
    with name_server(Server(RIGHT, RIGHT, then, RIGHT)) as port:
        check = prepare(port, "--expect", "192.0.2.80")
        seen = [take(check) for _ in range(4)]
    well = [one.grade is Grade.RIGHT for one in seen]
    assert well == [True, True, False, True]
    assert says in seen[2].text


def test_a_wrong_datagram_in_front_of_the_same_answer_is_ignored() -> None:
    def both(wire: bytes) -> list[bytes]:
        return [b"\0\0" + wire[2:], *RIGHT(wire)]

    with name_server(Server(RIGHT, both)) as port:
        check = prepare(port)
        assert [take(check).grade for _ in range(3)] == [Grade.RIGHT] * 3


def test_what_is_truncated_later_is_asked_over_tcp() -> None:
    def truncated(wire: bytes) -> list[bytes]:
        return [reply(wire, flags=dns.flags.TC).to_wire()]

    with name_server(Server(RIGHT, truncated), over_tcp(RIGHT)) as port:
        check = prepare(port, "--expect", "192.0.2.80")
        seen = [take(check) for _ in range(2)]
    assert [one.grade for one in seen] == [Grade.RIGHT] * 2
    assert [one.details[0][:3] for one in seen] == ["UDP", "TCP"]


def test_a_server_that_refuses_edns_later_is_asked_without() -> None:
    def refusing(wire: bytes) -> list[bytes]:
        has_edns = wire[11] > 0
        return answering(rcode=dns.rcode.FORMERR)(wire) if has_edns else RIGHT(wire)

    with name_server(Server(RIGHT, refusing)) as port:
        check = prepare(port, "--expect", "192.0.2.80")
        seen = [take(check) for _ in range(3)]
    assert [one.grade for one in seen] == [Grade.RIGHT] * 3
    assert [one.details[0].endswith("refused") for one in seen] == [False, True, True]


def test_a_random_name_is_another_one_each_time() -> None:
    server = Server(RIGHT)
    with name_server(server) as port:
        check = prepare(port, query="{random}.example.org")
        assert [take(check).grade for _ in range(3)] == [Grade.RIGHT] * 3
    assert len({wire[2:] for wire in server.asked}) == 3


def test_the_transcript_is_that_of_each_query() -> None:
    with name_server(Server(RIGHT)) as port:
        check = prepare(port, "-vvv")
        shown = [take(check).transcript for _ in range(2)]
    assert all(shown)
    assert shown[0] != shown[1], "the ids differ"
