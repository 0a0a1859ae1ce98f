"""`check_anycast dns`, against real name servers on loopback that misbehave in every way."""

import time
from collections.abc import Callable
from functools import partial

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.dns_answer import (
    MalformedError,
    is_truncated,
    judge,
    parse,
)
from anycast_checks.dns_question import Question, make_query, parse_value
from anycast_checks.errors import CheckError, NotTheAnswerError
from anycast_checks.line import clean
from tests.support.dns_server import answering, name_server, over_tcp, reply, silent
from tests.support.printed import Ask, Printed

RIGHT = answering("A 192.0.2.80")
WITHDRAWN = "198.51.100.53"
BRIEF = ("-t", "0.2")
# An answer comes in this time, also on a busy machine, and then nothing more.
ONCE = ("--tries", "1", "-t", "1")


@pytest.fixture
def query(ask: Ask) -> Callable[..., Printed]:
    return partial(ask, "dns", "-H", "127.0.0.1", "--query", "www.example.org", "--retry-delay", 0)


Query = Callable[..., Printed]


def test_right_answer_is_ok(query: Query) -> None:
    """The status line says what answered, how fast, and which instance it was."""
    with name_server(answering("A 192.0.2.80", nsid=b"ns1")) as port:
        seen = query("-p", port, "--expect", "192.0.2.80")

    assert seen.code == 0
    assert seen.text.startswith(
        "DNS OK - 127.0.0.1 announced: www.example.org A (nsid ns1): 192.0.2.80 in "
    )
    assert seen.perfdata["present"] == "1"
    assert 0 < float(seen.perfdata["time"].split("s;")[0]) < 2


def test_ipv6(query: Query) -> None:
    with name_server(answering("AAAA 2001:db8::80"), address="::1") as port:
        seen = query("-H", "::1", "-p", port, "--type", "aaaa", "--expect", "2001:DB8:0::0080")

    assert seen.code == 0


@pytest.mark.parametrize("extra", [(), ("--tcp",)])
def test_refused_is_critical(query: Query, extra: tuple[str, ...]) -> None:
    with name_server(None) as port:
        seen = query("-p", port, *extra)

    assert seen.code == 2
    assert seen.text == (
        "DNS CRITICAL - 127.0.0.1 still announced: connection refused (3 of 3 tries)"
    )
    assert seen.perfdata == {"time": "U;;;0;2", "present": "1"}


def test_silence_is_critical(query: Query) -> None:
    """To its clients a server that hangs is as good as dead."""
    with name_server(silent) as port:
        seen = query("-p", port, *BRIEF)

    assert seen.code == 2
    assert "still announced: no answer within 0.2 s (3 of 3 tries)" in seen.text


def test_silence_can_be_unknown(query: Query) -> None:
    with name_server(silent) as port:
        seen = query("-p", port, "--timeout-state", "unknown", *BRIEF)

    assert seen.code == 3
    assert seen.perfdata["present"] == "1"


def test_silence_over_tcp_is_critical(query: Query) -> None:
    """A process that was stopped still accepts connections, because the kernel does that for it."""
    done: list[bool] = []

    def hang(wire: bytes) -> bytes:
        while not done:
            time.sleep(0.01)
        return b""

    with name_server(None, hang) as port:
        seen = query("-p", port, "--tcp", "--tries", "1", *BRIEF)
        done.append(True)

    assert seen.code == 2
    assert "no answer within 0.2 s" in seen.text


@pytest.mark.parametrize(
    ("server", "failure"),
    [
        (answering(rcode=dns.rcode.SERVFAIL), "SERVFAIL"),
        (answering(rcode=dns.rcode.REFUSED), "REFUSED"),
        (answering(rcode=dns.rcode.NXDOMAIN), "NXDOMAIN"),
        (answering("A 192.0.2.66"), "192.0.2.80 is missing, got 192.0.2.66"),
        (answering(), "no such record in the answer"),
        (answering("A 192.0.2.80", owner="www.example.com."), "no such record in the answer"),
        (lambda wire: [wire[:2] + b"\x80" * 30], "malformed answer"),
        (lambda wire: [RIGHT(wire)[0][:40]], "malformed answer"),
    ],
)
def test_wrong_answer_is_critical(
    query: Query, server: Callable[[bytes], list[bytes]], failure: str
) -> None:
    with name_server(server) as port:
        seen = query("-p", port, "--expect", "192.0.2.80")

    assert seen.code == 2
    assert failure in seen.text
    assert "still announced" in seen.text
    assert "(3 of 3 tries)" in seen.text
    assert seen.perfdata["present"] == "1"


def with_another_id(wire: bytes) -> bytes:
    answer = RIGHT(wire)[0]
    return bytes([answer[0] ^ 0xFF]) + answer[1:]


def to_another_question(wire: bytes) -> bytes:
    question = dns.message.from_wire(wire)
    other = dns.message.make_query("www.example.com", "A", id=question.id)
    return RIGHT(other.to_wire())[0]


STRANGERS = [
    pytest.param(with_another_id, "answer with another id", id="id"),
    pytest.param(to_another_question, "answer to another question", id="question"),
    pytest.param(lambda wire: wire, "answer to another question", id="echo"),
    pytest.param(lambda _: b"", "0 bytes are no DNS message", id="empty"),
    pytest.param(lambda wire: wire[:11], "11 bytes are no DNS message", id="short"),
]


@pytest.mark.parametrize(("stranger", "reason"), STRANGERS)
def test_stray_datagram_does_not_end_the_wait(
    query: Query, stranger: Callable[[bytes], bytes], reason: str
) -> None:
    """A datagram that does not answer the question has no influence on the result."""
    with name_server(lambda wire: [stranger(wire), *RIGHT(wire)]) as port:
        seen = query("-p", port, "--expect", "192.0.2.80")

    assert seen.code == 0
    assert "tries" not in seen.text


@pytest.mark.parametrize(("stranger", "reason"), STRANGERS)
def test_nothing_but_stray_datagrams_is_critical(
    query: Query, stranger: Callable[[bytes], bytes], reason: str
) -> None:
    with name_server(lambda wire: [stranger(wire)]) as port:
        seen = query("-p", port, *ONCE)

    assert seen.code == 2
    assert f"no answer within 1 s, ignored: {reason}" in seen.text


def truncated(wire: bytes) -> list[bytes]:
    return [reply(wire, flags=dns.flags.TC).to_wire()]


def test_truncated_answer_is_asked_for_over_tcp(query: Query) -> None:
    with name_server(truncated, over_tcp(RIGHT)) as port:
        seen = query("-p", port, "--expect", "192.0.2.80", "-v")

    assert seen.code == 0
    assert "\nTCP, " in seen.output


def test_truncated_answer_without_tcp_is_critical(query: Query) -> None:
    """The clients of such a server cannot get the answer either."""
    with name_server(truncated) as port:
        seen = query("-p", port)

    assert seen.code == 2
    assert "truncated over UDP, then over TCP connection refused" in seen.text


def test_tcp_only(query: Query) -> None:
    with name_server(None, over_tcp(RIGHT)) as port:
        assert query("-p", port, "--tcp").code == 0


@pytest.mark.parametrize(
    ("tcp", "failure"),
    [
        (lambda _: b"", "connection closed after 0 of 2 bytes"),
        (lambda _: b"\x01\x00abc", "connection closed after 3 of 256 bytes"),
        (over_tcp(lambda wire: [with_another_id(wire)]), "answer with another id over TCP"),
        (over_tcp(lambda _: [b""]), "0 bytes are no DNS message over TCP"),
        (over_tcp(lambda wire: [RIGHT(wire)[0][:40]]), "malformed answer"),
    ],
)
def test_wrong_over_tcp_is_critical(
    query: Query, tcp: Callable[[bytes], bytes], failure: str
) -> None:
    with name_server(None, tcp) as port:
        seen = query("-p", port, "--tcp")

    assert seen.code == 2
    assert failure in seen.text


def slow(wire: bytes) -> list[bytes]:
    time.sleep(0.03)  # is the point
    return RIGHT(wire)


@pytest.mark.parametrize(
    ("thresholds", "code", "words"),
    [
        (("-w", "10", "-c", "20"), 0, "announced:"),
        (("-w", "0.01", "-c", "20"), 1, "slower than 0.01"),
        (("-w", "0.01", "-c", "0.02"), 2, "still announced: slower than 0.02"),
        (("-c", "0.02"), 2, "still announced: slower than 0.02"),
        (("-c", "@0.02:9"), 2, "still announced"),
    ],
)
def test_slow_answer(query: Query, thresholds: tuple[str, ...], code: int, words: str) -> None:
    with name_server(slow) as port:
        seen = query("-p", port, *thresholds)

    assert seen.code == code
    assert words in seen.text
    assert ("(3 of 3 tries)" in seen.text) == (code == 2), seen.text
    assert seen.perfdata["present"] == "1"


def test_one_lost_datagram_does_not_matter(query: Query) -> None:
    """A CRITICAL needs as many failing samples as there are tries."""
    asked: list[bytes] = []

    def third_time(wire: bytes) -> list[bytes]:
        asked.append(wire)
        return RIGHT(wire) if len(asked) == 3 else []

    with name_server(third_time) as port:
        seen = query("-p", port, "-t", "1")

    assert seen.code == 0
    assert "(try 3 of 3)" in seen.text
    assert len({wire[:2] for wire in asked}) > 1  # each with an id of its own


def test_withdrawn_and_healthy_is_ok(query: Query) -> None:
    with name_server(RIGHT) as port:
        seen = query("-H", WITHDRAWN, "-p", port, "--expect", "192.0.2.80")

    assert seen.code == 0
    assert f"{WITHDRAWN} healthy, withdrawn: 127.0.0.1: www.example.org A: " in seen.text
    assert seen.perfdata["present"] == "0"


@pytest.mark.parametrize("server", [None, silent, answering("A 192.0.2.66")])
@pytest.mark.parametrize("extra", [(), ("--timeout-state", "unknown")])
def test_withdrawn_and_failing_is_warning(
    query: Query, server: Callable[[bytes], list[bytes]] | None, extra: tuple[str, ...]
) -> None:
    with name_server(server) as port:
        seen = query("-H", WITHDRAWN, "-p", port, "--expect", "192.0.2.80", *extra, *BRIEF)

    assert seen.code == 1
    assert f"{WITHDRAWN} withdrawn, instance still failing: 127.0.0.1: " in seen.text
    assert seen.perfdata["present"] == "0"


@pytest.mark.parametrize("threshold", ["-w", "-c"])
def test_withdrawn_and_slow_is_warning(query: Query, threshold: str) -> None:
    """A restore would only bring the slow answers back to the clients."""
    with name_server(slow) as port:
        seen = query("-H", WITHDRAWN, "-p", port, threshold, "0.01")

    assert seen.code == 1
    assert "withdrawn, instance still failing" in seen.text


def test_withdrawn_ipv6_asks_the_loopback_of_its_family(query: Query) -> None:
    with name_server(RIGHT, address="::1") as port:
        seen = query("-H", "2001:db8::53", "-p", port)

    assert seen.code == 0
    assert "2001:db8::53 healthy, withdrawn: ::1: " in seen.text


def test_withdrawn_without_an_instance_waits_for_a_person(query: Query) -> None:
    with name_server(RIGHT) as port:
        seen = query("-H", WITHDRAWN, "-p", port, "--instance", "none")

    assert seen.code == 1
    assert seen.text == (
        f"DNS WARNING - {WITHDRAWN} withdrawn, instance cannot be tested: restore by hand"
    )


def test_instance_elsewhere_is_unknown(query: Query) -> None:
    """An answer from an instance address of another host would prove nothing about this host."""
    with pytest.raises(CheckError, match=r"instance address 198\.51\.100\.54 is not on this host"):
        query("-H", WITHDRAWN, "--instance", "198.51.100.54")


def test_client_takes_any_answer(query: Query) -> None:
    with name_server(RIGHT) as port:
        seen = query("-p", port, "--client")

    assert seen.code == 0
    assert seen.text.startswith("DNS OK - 127.0.0.1: www.example.org A: 192.0.2.80 in ")
    assert seen.perfdata["present"] == "U"


def test_client_hears_a_failure(query: Query) -> None:
    with name_server(None) as port:
        seen = query("-p", port, "--client")

    assert seen.code == 2
    assert "announced" not in seen.text


@pytest.mark.parametrize(
    ("records", "options", "code"),
    [
        (["A 192.0.2.80", "A 192.0.2.81"], ["--expect", "192.0.2.81"], 0),
        (["A 192.0.2.80"], ["--expect", "192.0.2.80", "--expect", "192.0.2.81"], 2),
        (["A 192.0.2.80", "A 192.0.2.81"], ["--expect", "192.0.2.81", "--expect-only"], 2),
        (["A 192.0.2.80"], ["--expect", "192.0.2.80", "--expect-only"], 0),
        (["TXT \"v=spf1\" \" -all\""], ["--type", "TXT", "--expect", "v=spf1 -all"], 0),
        (["TXT \"v=spf1 -all\""], ["--type", "TXT", "--expect", '"v=spf1 " "-all"'], 0),
        (["TXT \"V=SPF1\""], ["--type", "TXT", "--expect", "v=spf1"], 2),
        (["MX 10 MAIL.example.org."], ["--type", "mx", "--expect", "10 mail.Example.org"], 0),
        (["NS ns.example.org."], ["--type", "NS", "--expect", "ns.example.org."], 0),
        (["SRV 0 5 53 ns.example.org."], ["--type", "SRV", "--expect", "0 5 53 NS.example.org"], 0),
        (["AAAA 2001:db8::1"], ["--type", "AAAA", "--expect", "2001:DB8::0:1"], 0),
        (["TYPE65280 \\# 2 abcd"], ["--type", "TYPE65280", "--expect", "\\# 2 ABCD"], 0),
    ],
)  # fmt: skip
def test_values_are_compared_as_dns_data(
    query: Query, records: list[str], options: list[str], code: int
) -> None:
    with name_server(answering(*records)) as port:
        assert query("-p", port, *options).code == code


def test_alias_is_followed(query: Query) -> None:
    def alias(wire: bytes) -> list[bytes]:
        answer = reply(wire, "CNAME web.example.org.")
        answer.answer.append(dns.rrset.from_text("web.example.org.", 300, "IN", "A", "192.0.2.80"))
        return [answer.to_wire()]

    with name_server(alias) as port:
        assert query("-p", port, "--expect", "192.0.2.80").code == 0


def test_alias_that_leads_nowhere_is_critical(query: Query) -> None:
    with name_server(answering("CNAME www.example.org.")) as port:
        seen = query("-p", port)

    assert seen.code == 2
    assert "inconsistent answer" in seen.text or "no such record" in seen.text


@pytest.mark.parametrize(
    ("rcode", "expected", "code"),
    [
        (dns.rcode.NXDOMAIN, "nxdomain", 0),
        (dns.rcode.NOERROR, "NXDOMAIN", 2),
        (dns.rcode.SERVFAIL, "NXDOMAIN", 2),
        (dns.rcode.REFUSED, "REFUSED", 0),
    ],
)
def test_another_rcode_can_be_right(
    query: Query, rcode: dns.rcode.Rcode, expected: str, code: int
) -> None:
    with name_server(answering(rcode=rcode)) as port:
        seen = query("-p", port, "--expect-rcode", expected)

    assert seen.code == code
    assert dns.rcode.to_text(rcode) in seen.text


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--require-flags", "ra"), 0, "192.0.2.80"),
        (("--require-flags", "AA, ra"), 2, "answer lacks flag aa"),
        (("--forbid-flags", "aa"), 0, "192.0.2.80"),
        (("--forbid-flags", "ra"), 2, "answer has flag ra"),
    ],
)
def test_flags(query: Query, options: tuple[str, ...], code: int, words: str) -> None:
    with name_server(RIGHT) as port:
        seen = query("-p", port, *options)

    assert seen.code == code
    assert words in seen.text


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ((), "RD"),
        (("--no-recurse",), ""),
        (("--no-recurse", "--recurse"), "RD"),
        (("--require-flags", "ad"), "RD AD"),
    ],
)
def test_what_is_asked(query: Query, options: tuple[str, ...], flags: str) -> None:
    """The query has RD by default, always asks for the NSID, and has AD where AD is required."""
    asked: list[dns.message.Message] = []

    def remember(wire: bytes) -> list[bytes]:
        asked.append(dns.message.from_wire(wire))
        return RIGHT(wire)

    with name_server(remember) as port:
        query("-p", port, "--tries", "1", *options)

    assert dns.flags.to_text(asked[0].flags) == flags
    assert [option.otype for option in asked[0].options] == [dns.edns.OptionType.NSID]


@pytest.mark.parametrize(
    ("nsid", "shown"),
    [
        (b"ns1.example.org", "nsid ns1.example.org"),
        (b"a|b\nc", "nsid 617c620a63"),
        (b"a|b", "nsid a!b"),
        (b"\xff\x00", "nsid ff00"),
        (b"x" * 500, "nsid " + "x" * 29 + "..."),
    ],
)
def test_nsid_is_remote_data(query: Query, nsid: bytes, shown: str) -> None:
    with name_server(answering("A 192.0.2.80", nsid=nsid)) as port:
        seen = query("-p", port)

    assert seen.code == 0
    assert shown in seen.text


def test_hostile_text_stays_in_its_place(query: Query) -> None:
    """An answer can add neither a second line to the output nor performance data."""
    evil = 'TXT "x\\010y | time=99s \\255" "' + "z" * 250 + '"'
    with name_server(answering(evil)) as port:
        seen = query("-p", port, "--type", "TXT", "-v", "--query", "x" * 63 + ".example.org")

    assert seen.code == 0
    assert set(seen.perfdata) == {"time", "present"}
    assert "99" not in seen.perfdata["time"].split(".")[0]
    assert all("|" not in line for line in seen.output.splitlines()[1:])


def test_verbosity(query: Query) -> None:
    """-v shows the answers and -vvv both messages; in the first line only the time differs."""
    with name_server(RIGHT) as port:
        once, twice, most = (query("-p", port, option) for option in ("-v", "-vv", "-vvvv"))

    assert "www.example.org. 300 IN A 192.0.2.80" in once.output
    assert ";QUESTION" not in twice.output
    assert most.output.count(";QUESTION") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--expect", "nonsense"), "'nonsense' is no data of type A"),
        (("--expect-only",), "--expect-only needs an --expect"),
        (("--expect", "192.0.2.80", "--expect-rcode", "NXDOMAIN"), "--expect fits"),
        (("--expect-rcode", "FINE"), "'--expect-rcode'"),
        (("--type", "ANY"), "'--type'"),
        (("--type", "NONSENSE"), "'--type'"),
        (("--require-flags", "aa,xx"), "'--require-flags'"),
        (("--require-flags", "aa", "--forbid-flags", "aa"), "name the same flag"),
        (("--query", "a..b"), "'--query'"),
        (("--query", "x" * 64), "'--query'"),
    ],
)
def test_unusable_option_is_named(query: Query, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(CheckError, match=message):
        query(*options)


QUESTION = Question(
    name=dns.name.from_text("www.example.org"),
    rdtype=dns.rdatatype.A,
    recurse=True,
    rcode=dns.rcode.NOERROR,
    expected=(("192.0.2.80", parse_value(dns.rdatatype.A, "192.0.2.80")),),
    only=False,
    required=dns.flags.Flag(0),
    forbidden=dns.flags.Flag(0),
)
ANSWER = answering("A 192.0.2.66", nsid=b"ns1")(make_query(QUESTION).to_wire())[0]


@given(st.binary(max_size=600))
def test_no_bytes_are_the_right_answer_by_chance(noise: bytes) -> None:
    """Any bytes end in an observation, or in an exception that the check expects."""
    survive(noise)


@given(st.lists(st.tuples(st.integers(2, len(ANSWER) - 1), st.integers(0, 255)), max_size=8))
def test_no_damage_to_a_wrong_answer_makes_it_crash(damage: list[tuple[int, int]]) -> None:
    wire = bytearray(ANSWER)
    for place, value in damage:
        wire[place] = value
    survive(bytes(wire))


def survive(wire: bytes) -> None:
    query = make_query(QUESTION)
    wire = query.id.to_bytes(2, "big") + wire[2:]
    is_truncated(query, wire)
    try:
        seen = judge(QUESTION, parse(query, wire), 0.001)
    except (NotTheAnswerError, MalformedError):
        return
    assert clean(seen.text).isascii()
