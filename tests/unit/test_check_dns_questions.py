"""What `check_anycast dns` can be asked to ask: several names, fresh ones, and which instance."""

from __future__ import annotations

import os
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from anycast_checks.check_dns import command
from anycast_checks.errors import CheckError
from anycast_checks.run import CheckRun
from anycast_checks.sampling import take_sample
from tests.support.dns_server import Udp, answering, name_server, over_tcp, reply
from tests.support.printed import Ask, Printed

WITHDRAWN = "198.51.100.53"


def asked(run: Ask, server: Udp | None, *words: object, address: str = "127.0.0.1") -> Printed:
    tcp = over_tcp(server) if server else None
    with name_server(server, tcp) as port:
        return run("dns", "-H", address, "-p", port, "--tries", 1, "-t", "1", *words)


def names_asked(run: Ask, *words: object) -> list[str]:
    """Ask, and list the names that the server was asked for, with their types."""
    found: list[str] = []

    def server(wire: bytes) -> list[bytes]:
        (question,) = dns.message.from_wire(wire).question
        found.append(f"{question.name} {dns.rdatatype.to_text(question.rdtype)}")
        return [reply(wire).to_wire()]

    asked(run, server, *words, "--expect-rcode", "NXDOMAIN", "--tries", 3, "--retry-delay", 0)
    return found


def by_name(**rcodes: dns.rcode.Rcode | None) -> Udp:
    """Answer by the first label of the name: rightly, with an rcode, or None for silence."""

    def server(wire: bytes) -> list[bytes]:
        label = dns.message.from_wire(wire).question[0].name.labels[0].decode()
        rcode = rcodes.get(label, dns.rcode.NOERROR)
        if rcode is None:
            return []
        records = ("A 192.0.2.80",) if rcode == dns.rcode.NOERROR else ()
        return [reply(wire, *records, rcode=rcode).to_wire()]

    return server


def test_random_is_another_text_at_each_try(ask: Ask) -> None:
    """No cache has an answer to it, so the resolver has to resolve."""
    names = names_asked(ask, "--query", "{random}.check-{random}.example.org")
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"(\w{16})\.check-\1\.example\.org\. A", name) for name in names)


def test_random_is_shown_as_it_was_typed(ask: Ask) -> None:
    seen = asked(ask, answering("A 192.0.2.80"), "--query", "{random}.example.org")
    assert "announced: {random}.example.org A: 192.0.2.80 in " in seen.text


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("192.0.2.80", "80.2.0.192.in-addr.arpa."),
        ("2001:db8::80", "0.8.0.0." + "0.0.0.0." * 5 + "8.b.d.0.1.0.0.2.ip6.arpa."),
        ("80.2.0.192.in-addr.arpa", "80.2.0.192.in-addr.arpa."),
        ("192.0.2", "192.0.2."),
    ],
)
def test_an_address_is_asked_for_by_its_reverse_name(ask: Ask, typed: str, name: str) -> None:
    assert set(names_asked(ask, "--query", typed, "--type", "PTR")) == {f"{name} PTR"}


def test_an_address_is_a_name_for_every_other_type(ask: Ask) -> None:
    assert set(names_asked(ask, "--query", "192.0.2.80")) == {"192.0.2.80. A"}


@pytest.mark.parametrize("words", [("--checking-disabled",), ("--require-flags", "cd")])
def test_cd_is_asked_for(ask: Ask, words: tuple[str, ...]) -> None:
    """RFC 4035, 3.2.2: the server copies the flag into its answer."""
    flags: list[str] = []

    def server(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        flags.append(dns.flags.to_text(query.flags))
        return [reply(wire, "A 192.0.2.80", flags=query.flags & dns.flags.CD).to_wire()]

    assert asked(ask, server, "--query", "example.org", *words).code == 0
    assert flags == ["RD CD"]


@pytest.mark.parametrize(
    ("nsid", "expected", "code"),
    [
        (b"ns1", ["ns1"], 0),
        (b"ns1", ["6e7331"], 0),
        (b"ns1", ["6E 73 31"], 0),
        (b"\xff\x00", ["ff00"], 0),
        (b"ff00", ["ff00"], 0),
        (b"ns2", ["ns1", "ns2"], 0),
        (os.uname().nodename.encode() + b".x", ["{hostname}.x"], 0),
        (b"ns2", ["ns1"], 1),
        (None, ["ns1"], 1),
    ],
)
def test_the_instance_that_answered(
    ask: Ask, nsid: bytes | None, expected: list[str], code: int
) -> None:
    words = [word for text in expected for word in ("--expect-nsid", text)]
    seen = asked(ask, answering("A 192.0.2.80", nsid=nsid), "--query", "example.org", *words)
    assert seen.code == code, seen.text
    if code:
        got = "nsid ns2" if nsid else "no nsid"
        assert f" announced, example.org A: {got}, expected ns1: another instance in " in seen.text


def test_a_forwarder_does_not_make_a_withdrawn_endpoint_healthy(ask: Ask) -> None:
    """A stub on loopback that asks the anycast address answers with the NSID of another."""
    words = ("--query", "example.org", "--expect-nsid", "ns1")
    server = answering("A 192.0.2.80", nsid=b"ns2")
    seen = asked(ask, server, *words, address=WITHDRAWN)
    assert seen.code == 1
    assert "withdrawn, instance still failing: 127.0.0.1: example.org A: nsid ns2, " in seen.text
    assert asked(ask, answering("A 192.0.2.80", nsid=b"ns1"), *words, address=WITHDRAWN).code == 0


def test_a_wrong_answer_of_the_wrong_instance_is_a_failure(ask: Ask) -> None:
    words = ("--query", "example.org", "--expect-nsid", "ns1")
    assert asked(ask, answering(rcode=dns.rcode.SERVFAIL, nsid=b"ns2"), *words).code == 2


def test_another_instance_than_before_is_said() -> None:
    """A process that asks again and again remembers who answered at the anycast address."""
    nsids = [b"ns1", b"ns1", b"ns2", b"ns2"]

    def server(wire: bytes) -> list[bytes]:
        return [reply(wire, "A 192.0.2.80", nsid=nsids.pop(0)).to_wire()]

    with name_server(server) as port:
        check = command.prepare(["-H", "127.0.0.1", "-p", str(port), "--query", "example.org"])
        samples = [take_sample(check, CheckRun()) for _ in range(4)]
    texts = [sample.observation.text for sample in samples if sample.observation]
    assert texts == [
        "example.org A (nsid ns1): 192.0.2.80",
        "example.org A (nsid ns1): 192.0.2.80",
        "example.org A (nsid ns2): 192.0.2.80 (nsid ns1 before)",
        "example.org A (nsid ns2): 192.0.2.80",
    ]


THREE = ("--query", "a.example", "--query", "b.example", "--query", "c.example")


@pytest.mark.parametrize(
    ("failing", "code", "says"),
    [
        ({}, 0, "announced: a.example A: 192.0.2.80, and 2 more in "),
        ({"b": dns.rcode.SERVFAIL}, 1,
         "announced, 1 of 3 names fails: b.example A: SERVFAIL in "),
        ({"b": None}, 1, "announced, 1 of 3 names fails: b.example A: no answer within 1 s in "),
        ({"a": dns.rcode.SERVFAIL, "c": dns.rcode.REFUSED}, 1,
         "announced, 2 of 3 names fail: a.example A: SERVFAIL in "),
        ({"a": dns.rcode.SERVFAIL, "b": None, "c": dns.rcode.REFUSED}, 2,
         "still announced: all 3 names fail: a.example A: SERVFAIL in "),
        ({"a": None, "b": None, "c": None}, 2,
         "still announced: all 3 names fail: a.example A: no answer within 1 s (1 of 1 tries)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--tcp",)])
def test_one_broken_name_is_no_broken_server(
    ask: Ask,
    failing: dict[str, dns.rcode.Rcode | None],
    code: int,
    says: str,
    more: tuple[str, ...],
) -> None:
    if more and None in failing.values():
        pytest.skip("over TCP the server closes the connection")
    seen = asked(ask, by_name(**failing), *THREE, *more)
    assert seen.code == code, seen.text
    assert says in seen.text


def test_a_name_that_is_given_twice_is_asked_once(ask: Ask) -> None:
    seen = asked(ask, by_name(), "--query", "a.example", "--query", "A.example.")
    assert "announced: a.example A: 192.0.2.80 in " in seen.text


def test_silence_for_all_names_can_be_unknown(ask: Ask) -> None:
    words = (*THREE, "--timeout-state", "unknown")
    assert asked(ask, by_name(a=None, b=None, c=None), *words).code == 3
    assert asked(ask, by_name(a=None, b=None, c=dns.rcode.SERVFAIL), *words).code == 2


def test_a_dead_server_fails_for_all_names(ask: Ask) -> None:
    seen = asked(ask, None, *THREE)
    assert seen.code == 2
    assert "still announced: all 3 names fail: a.example A: connection refused (1" in seen.text


def test_a_withdrawn_endpoint_with_a_broken_name_waits(ask: Ask) -> None:
    assert asked(ask, by_name(b=dns.rcode.SERVFAIL), *THREE, address=WITHDRAWN).code == 1
    assert asked(ask, by_name(), *THREE, address=WITHDRAWN).code == 0


def test_names_are_asked_at_the_same_time(ask: Ask) -> None:
    """The time limit of a try is for all names, so a slow one takes no time from the others."""
    words = [word for n in range(20) for word in ("--query", f"{n}.example")]
    began = time.monotonic()
    seen = asked(ask, by_name(**{str(n): None for n in range(19)}), *words)
    assert seen.code == 1
    assert "19 of 20 names fail" in seen.text
    assert time.monotonic() - began < 15  # 19 s one after the other


@contextmanager
def side_by_side(behave: Udp) -> Iterator[int]:
    """Serve each datagram by a thread of its own, so that a slow answer delays no other one."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sender = self.request
            for answer in behave(wire):
                sender.sendto(answer, self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(("slow", "code"), [({"b"}, 1), ({"a", "b", "c"}, 2)])
def test_a_slow_name_is_a_failing_one(ask: Ask, slow: set[str], code: int) -> None:
    def behave(wire: bytes) -> list[bytes]:
        if dns.message.from_wire(wire).question[0].name.labels[0].decode() in slow:
            time.sleep(2.0)  # is the point
        return [reply(wire, "A 192.0.2.80").to_wire()]

    words = ("-H", "127.0.0.1", "--tries", 1, *THREE, "-t", "10", "-c", "1.5")
    with side_by_side(behave) as port:
        seen = ask("dns", "-p", port, *words)
    assert seen.code == code, seen.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--query", "{random}" * 5 + ".example"), "'--query'"),
        (("--query", "x", "--query", "a..b"), "'--query'"),
        ((), "Missing option '--query'"),
        # An empty variable of the engine must not ask about the root.
        (("--query", ""), "'--query': '' is not a domain name: '.' is the root"),
        (("--query", "@"), "'--query': '@' is not a domain name: '.' is the root"),
        (("--query", "x", "--expect-nsid", ""), "'--expect-nsid': '' is the NSID of no server"),
    ],
)
def test_an_unusable_name_is_named(ask: Ask, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(CheckError, match=re.escape(message)):
        asked(ask, answering(), *words)
