"""`check_anycast dns` on servers that are odd and healthy: clients are served, so it is OK."""

from __future__ import annotations

import struct
from collections.abc import Callable

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from tests.support.dns_server import Udp, answering, name_server, over_tcp, reply
from tests.support.printed import Ask, Printed

RIGHT = answering("A 192.0.2.80")
EXPECT = ("--query", "www.example.org", "--expect", "192.0.2.80", "--tries", "1", "-t", "5")


def answered(run: Ask, server: Udp, *more: object) -> Printed:
    with name_server(server, over_tcp(server)) as port:
        return run("dns", "-H", "127.0.0.1", "-p", port, *EXPECT, *more)


def refusing(
    rcode: dns.rcode.Rcode, *, options_only: bool = False, bare: bool = False
) -> Callable[[bytes], list[bytes]]:
    """Refuse EDNS, or an option alone, as Microsoft DNS 6.1 and many firewalls do."""

    def server(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        if not (query.options if options_only else query.edns >= 0):
            return RIGHT(wire)
        if bare:  # the counts of the query, without what they count
            return [wire[:2] + b"\x80" + bytes([rcode]) + wire[4:12]]
        answer = dns.message.make_response(query)
        answer.use_edns(0 if rcode > 15 else -1)
        answer.set_rcode(rcode)
        return [answer.to_wire()]

    return server


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS])
@pytest.mark.parametrize("options_only", [True, False])
@pytest.mark.parametrize("more", [(), ("--tcp",)])
def test_a_server_that_refuses_edns_is_asked_without(
    ask: Ask,
    rcode: dns.rcode.Rcode,
    options_only: bool,  # noqa: FBT001
    more: tuple[str, ...],
) -> None:
    """RFC 6891, 6.2.2 and 7: BIND, unbound and glibc's clients are served by it."""
    seen = answered(ask, refusing(rcode, options_only=options_only), "-v", *more)
    assert seen.code == 0, seen.output
    assert "without EDNS, which was refused" in seen.output


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_a_refusal_may_be_a_bare_header(ask: Ask, rcode: dns.rcode.Rcode) -> None:
    assert answered(ask, refusing(rcode, bare=True)).code == 0


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_a_server_that_refuses_everything_is_critical(ask: Ask, rcode: dns.rcode.Rcode) -> None:
    asked: list[int] = []

    def server(wire: bytes) -> list[bytes]:
        asked.append(dns.message.from_wire(wire).edns)
        return [reply(wire, rcode=rcode).to_wire()]

    seen = answered(ask, server)
    assert (seen.code, asked) == (2, [0, -1]), seen.text
    assert f"www.example.org A: {dns.rcode.to_text(rcode)} in " in seen.text


def test_a_refusal_can_be_what_is_expected(ask: Ask) -> None:
    with name_server(answering(rcode=dns.rcode.NOTIMP)) as port:
        words = ("-p", port, "--query", "www.example.org", "--expect-rcode", "NOTIMP")
        assert ask("dns", "-H", "127.0.0.1", *words).code == 0


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NXDOMAIN])
def test_other_failures_are_not_asked_about_again(ask: Ask, rcode: dns.rcode.Rcode) -> None:
    asked: list[bytes] = []

    def server(wire: bytes) -> list[bytes]:
        asked.append(wire)
        return [reply(wire, rcode=rcode).to_wire()]

    assert (answered(ask, server).code, len(asked)) == (2, 1)


def raw(wire: bytes, place: int, kind: int, data: bytes) -> bytes:
    """Give the right answer with one more record, whose count is at this place of the header."""
    answer = bytearray(reply(wire, "A 192.0.2.80").to_wire())
    count = int.from_bytes(answer[place : place + 2], "big") + 1
    answer[place : place + 2] = count.to_bytes(2, "big")
    return bytes(answer) + b"\1x\0" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def with_option(code: int, data: bytes) -> Udp:
    def server(wire: bytes) -> list[bytes]:
        answer = reply(wire, "A 192.0.2.80")
        answer.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType(code), data)])
        return [answer.to_wire()]

    return server


ADDITIONAL = 10
ODD = {
    "11 bytes behind": lambda wire: [RIGHT(wire)[0] + b"\0\0\x29\x10" + bytes(7)],
    "EDE in Latin-1": with_option(15, b"\0\x1b\xfcber"),
    "EDE of one byte": with_option(15, b"\0"),
    "cookie of 5 bytes": with_option(10, b"12345"),
    "client subnet cut short": with_option(8, b"\0\1\x20"),
    "A of 3 bytes, additional": lambda wire: [raw(wire, ADDITIONAL, 1, b"\1\2\3")],
    "TXT without a string, additional": lambda wire: [raw(wire, ADDITIONAL, 16, b"")],
    "CAA with an odd tag, additional": lambda wire: [raw(wire, ADDITIONAL, 257, b"\0\5is-uex")],
}


@pytest.mark.parametrize("name", ODD)
def test_what_nobody_asked_for_may_be_odd(ask: Ask, name: str) -> None:
    """glibc, whose getaddrinfo is what clients call, takes each of these answers."""
    seen = answered(ask, ODD[name])
    assert seen.code == 0, seen.text


def test_the_nsid_is_read_beside_an_odd_record(ask: Ask) -> None:
    def server(wire: bytes) -> list[bytes]:
        answer = bytearray(answering("A 192.0.2.80", nsid=b"ns1")(wire)[0])
        answer[11] += 1
        return [bytes(answer) + b"\0" + struct.pack("!HHIH", 1, 1, 60, 3) + b"abc"]

    assert "(nsid ns1)" in answered(ask, server).text


@pytest.mark.parametrize("cut", [1, 10, 20])
def test_an_answer_that_was_cut_is_malformed(ask: Ask, cut: int) -> None:
    """Records that the header counts are missing, be they those that nobody asked for."""

    def server(wire: bytes) -> list[bytes]:
        return [answering("A 192.0.2.80", nsid=b"ns1" * 9)(wire)[0][:-cut]]

    seen = answered(ask, server)
    assert seen.code == 2, seen.text
    assert "malformed answer" in seen.text


@pytest.mark.parametrize(
    ("rdtype", "sent", "expected"),
    [
        ("SVCB", "1 SVC.Example.Org. alpn=h2", "1 svc.example.org. alpn=h2"),
        ("HTTPS", "1 svc.example.org. alpn=h2", "1 SVC.EXAMPLE.ORG. alpn=h2"),
        ("DNAME", "Other.Example.", "other.example."),
        ("NSEC", "A.example.org. A", "a.Example.org. A"),
        ("SOA", "NS.example.org. Host.example.org. 1 2 3 4 5",
         "ns.example.org. host.example.org. 1 2 3 4 5"),
        ("CNAME", "WWW.example.net.", "www.example.net."),
        ("CAA", '0 ISSUE "ca.example.org"', '0 issue "ca.example.org"'),
        ("NAPTR", '1 1 "U" "E2U+sip" "!^.*$!sip:a@b!" .', '1 1 "u" "e2u+SIP" "!^.*$!sip:a@b!" .'),
    ],
)  # fmt: skip
def test_the_case_of_a_name_is_nothing(ask: Ask, rdtype: str, sent: str, expected: str) -> None:
    """RFC 4343, in the data of every type of record; so with a tag, a flag and a service."""
    with name_server(answering(f"{rdtype} {sent}")) as port:
        words = ("-p", port, "--query", "www.example.org", "--type", rdtype, "--expect", expected)
        seen = ask("dns", "-H", "127.0.0.1", *words, "--tries", 1)
    assert seen.code == 0, seen.text


@pytest.mark.parametrize("covered", ["A", "AAAA"])
def test_signatures_are_found_whatever_they_cover(ask: Ask, covered: str) -> None:
    """An answer to RRSIG has those of all types of the name (RFC 4034, 3.1.1)."""
    signature = f"{covered} 8 3 60 20300101000000 20200101000000 1 example.org. AAAA"
    with name_server(answering(f"RRSIG {signature}")) as port:
        words = ("-p", port, "--query", "www.example.org", "--type", "RRSIG")
        seen = ask("dns", "-H", "127.0.0.1", *words, "--tries", 1)
        expected = ask("dns", "-H", "127.0.0.1", *words, "--tries", 1, "--expect", signature)
    assert (seen.code, expected.code) == (0, 0), (seen.text, expected.text)


def test_another_target_is_another_value(ask: Ask) -> None:
    with name_server(answering("SVCB 1 a.example. alpn=h2")) as port:
        words = ("-p", port, "--query", "x", "--type", "SVCB", "--expect", "1 b.example. alpn=h2")
        assert ask("dns", "-H", "127.0.0.1", *words, "--tries", 1).code == 2


def test_the_value_of_a_caa_has_a_case(ask: Ask) -> None:
    with name_server(answering('CAA 0 issue "ca.example.org; Account=A"')) as port:
        value = '0 issue "ca.example.org; Account=a"'
        words = ("-p", port, "--query", "x", "--type", "CAA", "--expect", value)
        assert ask("dns", "-H", "127.0.0.1", *words, "--tries", 1).code == 2
