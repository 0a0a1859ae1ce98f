"""Name servers and time servers beside check_dig, check_dns, check_ntp_time and check_tcp."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.lab.beside import CRITICAL, OK, VIP, Row
from tests.support.dns_server import Tcp, Udp, name_server, over_tcp, reply
from tests.support.ntp_server import packet
from tests.support.peer import hanging, saying, server_that_sees_clients, stream_server

PROGRAMS = ["check_dig", "check_dns", "check_ntp_time", "check_tcp"]
NAME, RIGHT, OTHER = "www.example.org", "192.0.2.80", "192.0.2.66"
DNS_PORT = 53  # check_dns asks no other


def answers(*records: str, **how: object) -> Udp:
    """Answer questions for the type of the records with them, and others with nothing."""

    def server(wire: bytes) -> list[bytes]:
        asked = dns.rdatatype.to_text(dns.message.from_wire(wire).question[0].rdtype)
        kinds = {record.split()[0] for record in records}
        found = records if asked in kinds or "CNAME" in kinds else ()
        return [reply(wire, *found, **how).to_wire()]  # type: ignore[arg-type]

    return server


RIGHTLY = answers(f"A {RIGHT}")


def refusing(rcode: dns.rcode.Rcode, *, options_only: bool) -> Udp:
    """Refuse EDNS, or any option of it."""

    def server(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        if not (query.options if options_only else query.edns >= 0):
            return RIGHTLY(wire)
        answer = dns.message.make_response(query)
        answer.use_edns(0 if rcode > dns.rcode.BADVERS - 1 else -1)
        answer.set_rcode(rcode)
        return [answer.to_wire()]

    return server


def changed(change: Callable[[bytes, bytes], list[bytes]]) -> Udp:
    """Change the right answer, given the query."""
    return lambda wire: change(wire, RIGHTLY(wire)[0])


def with_option(code: int, data: bytes) -> Udp:
    """Give the right answer with an option of EDNS."""

    def server(wire: bytes) -> list[bytes]:
        answer = dns.message.from_wire(RIGHTLY(wire)[0])
        option = dns.edns.GenericOption(dns.edns.OptionType(code), data)
        answer.use_edns(0, options=[option])
        return [answer.to_wire()]

    return server


def with_record(kind: int, data: bytes) -> Udp:
    """Give the right answer with one more record behind it."""

    def add(_: bytes, answer: bytes) -> list[bytes]:
        more = int.from_bytes(answer[10:12], "big") + 1
        record = b"\1x\0" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        return [answer[:10] + more.to_bytes(2, "big") + answer[12:] + record]

    return changed(add)


def chain(wire: bytes) -> list[bytes]:
    """Answer with an alias and its address."""
    answer = reply(wire, "CNAME web.example.org.")
    if answer.question[0].rdtype == dns.rdatatype.A:
        answer.answer.append(dns.rrset.from_text("web.example.org.", 60, "IN", "A", RIGHT))
    return [answer.to_wire()]


def other_question(wire: bytes) -> list[bytes]:
    """Answer a question that nobody asked."""
    query = dns.message.from_wire(wire)
    other = dns.message.make_query("www.example.com", "A", id=query.id)
    return RIGHTLY(other.to_wire())


def slowly(wire: bytes) -> list[bytes]:
    """Answer after 0.6 s."""
    time.sleep(0.6)  # is the point
    return RIGHTLY(wire)


def truncated(wire: bytes) -> list[bytes]:
    """Say that the answer does not fit."""
    return [reply(wire, flags=dns.flags.TC | dns.flags.RA).to_wire()]


def dig(*more: str, expect: str = RIGHT, name: str = NAME) -> tuple[str, ...]:
    return ("check_dig", "-H", "VIP", "-l", name, "-a", expect, "-t", "2", *more)


def lookup(*more: str, expect: str = RIGHT, name: str = NAME) -> tuple[str, ...]:
    expected = ("-a", expect) if expect else ()
    return ("check_dns", "-s", "VIP", "-H", name, *expected, "-t", "3", *more)


def of_dns(
    says: str,
    right: int,
    udp: Udp | None,
    *more: str,
    tcp: Tcp | None = None,
    theirs: tuple[tuple[str, ...], ...] | None = None,
) -> Row:
    """Make a row about the address of NAME, or about what the further options ask for."""
    words = ("dns", "-t", "1", "--query", NAME, *(more or ("--expect", RIGHT)))
    server = partial(name_server, udp, tcp or (over_tcp(udp) if udp else None), VIP, DNS_PORT)
    return Row(says, right, server, words, (dig(), lookup()) if theirs is None else theirs)


def of_type(says: str, right: int, udp: Udp, rdtype: str, expect: str, theirs: str) -> Row:
    """Make a row about records that check_dns cannot ask for."""
    more = ("--type", rdtype, "--expect", expect)
    return of_dns(says, right, udp, *more, theirs=(dig("-T", rdtype, expect=theirs),))


def rcode(says: str, code: dns.rcode.Rcode) -> Row:
    return of_dns(says, CRITICAL, answers(rcode=code))


Ntp = Callable[[bytes, str], list[bytes]]


def of_ntp(says: str, right: int, server: Ntp | None, *more: str) -> Row:
    serve: Callable[[], AbstractContextManager[int]] = (
        partial(name_server, None, None, VIP)
        if server is None
        else partial(server_that_sees_clients, server, VIP)
    )
    theirs = ("check_ntp_time", "-H", "VIP", "-p", "PORT", "-c", "1", "-w", "1", "-t", "3")
    words = ("ntp", "-p", "PORT", "-t", "1", "--offset-critical", "1", *more)
    return Row(says, right, serve, words, (theirs,))


def time_says(**changes: object) -> Ntp:
    return lambda query, _: [packet(query, **changes)]


def rate_limited() -> Ntp:
    """Answer each client once."""
    known: set[str] = {VIP}

    def server(query: bytes, client: str) -> list[bytes]:
        fresh = client not in known
        known.add(client)
        return [packet(query)] if fresh else []

    return server


def of_tcp(says: str, right: int, serve: Callable[[], AbstractContextManager[int]]) -> Row:
    theirs = ("check_tcp", "-H", "VIP", "-p", "PORT", "-e", "220 ", "-M", "crit", "-t", "2")
    return Row(says, right, serve, ("tcp", "-p", "PORT", "-t", "1", "--expect", "220 "), (theirs,))


FORMERR, NOTIMP, BADVERS = dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS
TXT = 'TXT "v=spf1 " "-all"'
ROWS = [
    of_dns("the right address", OK, RIGHTLY),
    of_dns("no server: refused", CRITICAL, None),
    of_dns("silence", CRITICAL, lambda _: []),
    of_dns("another address", CRITICAL, answers(f"A {OTHER}")),
    of_dns("no such record", CRITICAL, answers()),
    rcode("NXDOMAIN", dns.rcode.NXDOMAIN),
    rcode("SERVFAIL", dns.rcode.SERVFAIL),
    rcode("REFUSED", dns.rcode.REFUSED),
    of_dns("two addresses, one expected", OK, answers(f"A {OTHER}", f"A {RIGHT}")),
    of_dns("two, and no other may be there", CRITICAL, answers(f"A {OTHER}", f"A {RIGHT}"),
           "--expect", RIGHT, "--expect-only", theirs=(dig(), lookup("-L"))),
    of_dns("an alias and its address", OK, chain),
    of_dns("an alias that leads nowhere", CRITICAL, answers("CNAME gone.example.")),
    of_dns("NXDOMAIN, which is expected", OK, answers(rcode=dns.rcode.NXDOMAIN),
           "--expect-rcode", "NXDOMAIN", theirs=(lookup("-n", expect=""),)),
    of_dns("not authoritative, as is needed", CRITICAL, RIGHTLY,
           "--require-flags", "aa", theirs=(lookup("-A"),)),
    of_dns("authoritative, as is needed", OK, answers(f"A {RIGHT}", flags=dns.flags.AA),
           "--require-flags", "aa", theirs=(lookup("-A"),)),
    of_dns("truncated, right over TCP", OK, truncated, tcp=over_tcp(RIGHTLY)),
    of_dns("truncated, silent over TCP", CRITICAL, truncated, tcp=lambda _: b""),
    of_dns("right over UDP, wrong over TCP", CRITICAL, RIGHTLY, "--expect", RIGHT, "--tcp",
           tcp=over_tcp(answers(rcode=dns.rcode.SERVFAIL)), theirs=(dig("-A", "+tcp"),)),
    of_dns("the id of another query", CRITICAL,
           changed(lambda _, a: [bytes([a[0] ^ 255]) + a[1:]])),
    of_dns("another id, then the right one", OK,
           changed(lambda _, a: [bytes([a[0] ^ 255]) + a[1:], a])),
    of_dns("the answer to another question", CRITICAL, other_question),
    of_dns("an echo of the query", CRITICAL, lambda wire: [wire]),
    of_dns("an answer that was cut", CRITICAL, changed(lambda _, a: [a[:40]])),
    of_dns("noise behind the id", CRITICAL, lambda wire: [wire[:2] + b"\x80" * 30]),
    of_dns("11 bytes behind the answer", OK, changed(lambda _, a: [a + bytes(11)])),
    of_dns("FORMERR to EDNS", OK, refusing(FORMERR, options_only=False)),
    of_dns("FORMERR to an option", OK, refusing(FORMERR, options_only=True)),
    of_dns("NOTIMP to EDNS", OK, refusing(NOTIMP, options_only=False)),
    of_dns("BADVERS to EDNS", OK, refusing(BADVERS, options_only=False)),
    of_dns("FORMERR to everything", CRITICAL, answers(rcode=FORMERR)),
    of_dns("an error text in Latin-1", OK, with_option(15, b"\0\x1b\xfcber")),
    of_dns("a cookie of 5 bytes", OK, with_option(10, b"12345")),
    of_dns("an odd record beside it", OK, with_record(1, b"\1\2\3")),
    of_dns("an answer after 0.6 s, 0.3 wanted", CRITICAL, slowly, "--expect", RIGHT, "-c", "0.3",
           theirs=(dig("-c", "0.3"), lookup("-c", "0.3"))),
    of_type("TXT in two strings", OK, answers(TXT), "TXT", "v=spf1 -all", "v=spf1 -all"),
    of_type("MX in capitals", OK, answers("MX 10 MX.EXAMPLE.ORG."), "MX", "10 mx.example.org.",
            "10 mx.example.org."),
    of_type("HTTPS in capitals", OK, answers("HTTPS 1 A.EXAMPLE. alpn=h2"), "HTTPS",
            "1 a.example. alpn=h2", "1 a.example. alpn=h2"),
    of_type("AAAA, spelt in another way", OK, answers("AAAA 2001:db8::80"), "AAAA",
            "2001:DB8:0::80", "2001:DB8:0::80"),
    of_dns("the name of an address", OK, answers("PTR www.example.org."),
           "--query", RIGHT, "--type", "PTR", "--expect", f"{NAME}.",
           theirs=(lookup(expect=f"{NAME}.", name=RIGHT),)),
    of_ntp("NTP: the right time", OK, time_says()),
    of_ntp("NTP: version 3", OK, time_says(version=3)),
    of_ntp("NTP: no server", CRITICAL, None),
    of_ntp("NTP: silence", CRITICAL, lambda *_: []),
    of_ntp("NTP: stratum 16", CRITICAL, time_says(stratum=16, leap=3)),
    of_ntp("NTP: leap 3, stratum 2", CRITICAL, time_says(leap=3)),
    of_ntp("NTP: kiss code INIT", CRITICAL, time_says(stratum=0, leap=3, reference=b"INIT")),
    of_ntp("NTP: 3 s ahead", CRITICAL, time_says(ahead=3.0)),
    of_ntp("NTP: the answer to another query", CRITICAL, time_says(origin=1)),
    of_ntp("NTP: an echo", CRITICAL, lambda query, _: [query]),
    of_ntp("NTP: too short", CRITICAL, lambda query, _: [packet(query)[:40]]),
    of_ntp("NTP: another one's, then the right", OK,
           lambda query, _: [packet(query, origin=1), packet(query)]),
    of_ntp("NTP: limits its rate", OK, rate_limited()),
    of_tcp("TCP: the right greeting", OK, partial(stream_server, saying(b"220 x\r\n", first=True),
                                                  None, VIP)),
    of_tcp("TCP: another greeting", CRITICAL,
           partial(stream_server, saying(b"554 x\r\n", first=True), None, VIP)),
    of_tcp("TCP: accepts, and is silent", CRITICAL, partial(stream_server, hanging(), None, VIP)),
    of_tcp("TCP: closes at once", CRITICAL, partial(stream_server, lambda _: None, None, VIP)),
]  # fmt: skip
