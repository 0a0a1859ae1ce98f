"""All code that parses bytes of a peer, from those bytes to the first line of output.

A target takes any bytes. If it raises AssertionError, it has found a bug; it raises nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import socket
import time
from collections.abc import Callable, Sequence

import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype
from anycast_handlers.decision.facts import State
from anycast_handlers.endpoint.look import read
from anycast_handlers.endpoint.numbers import LATEST
from anycast_handlers.endpoint.site import CLOCK, Site
from anycast_handlers.errors import HandlerError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.transport.shell import Result
from anycast_handlers.verbs import _known
from anycast_handlers.watch import line as stream_line
from anycast_handlers.watch import reading
from anycast_handlers.watch.evidence import Evidence, Rules

from anycast_checks import (
    check_all,
    check_http,
    check_ntp,
    check_plugin,
    check_tcp,
    dns_https,
    http_client,
    routing,
    starttls,
    together,
    verdict,
)
from anycast_checks.connection import Connection, Target
from anycast_checks.dns_answer import (
    MalformedError,
    is_truncated,
    judge,
    parse,
    refuses_edns,
)
from anycast_checks.dns_question import Question, make_query, parse_nsid
from anycast_checks.errors import CheckError, NotTheAnswerError, PeerFailedError
from anycast_checks.line import clean
from anycast_checks.ntp_packet import parse as parse_ntp
from anycast_checks.observation import Grade, Metric, Observation, Sample
from anycast_checks.options import HealthOptions
from anycast_checks.payload import expected_regex, expected_text
from anycast_checks.program import Ended
from anycast_checks.routing import ospf, ospf_vtysh
from anycast_checks.times import lasting
from anycast_checks.tls import Judgement
from anycast_checks.tls_connection import TlsConnection
from tests.support.shell import FakeShell

VIP, VIP6 = "10.99.0.53", "2001:db8:99::53"
OPTIONS = HealthOptions(
    address=VIP, deadline=10, verbose=3, instance="loopback", timeout=2, tries=3, retry_delay=0,
    warning="0.5", critical=None, timeout_state="critical", client=False, port=1,
)  # fmt: skip
QUESTION = Question(
    name=dns.name.from_text("www.example.org"), rdtype=dns.rdatatype.A, recurse=True,
    rcode=dns.rcode.NOERROR, expected=(), only=False, required=dns.flags.Flag(0),
    forbidden=dns.flags.Flag(0),
)  # fmt: skip
QUERY = make_query(QUESTION)
HELD = Vip("resolver", VIP, "lo:0", ("check",), (Endpoint("ns1", "192.0.2.11"),))
LINE = re.compile(r"FUZZ (OK|WARNING|CRITICAL|UNKNOWN) - [ -{}~]+ \| [ -{}~]+")
FIGURE = re.compile(r"('[^'=]+'|[^\s'=]+)=(U|-?\d+(\.\d+)?)[a-zA-Z%]*(;[-\d.:@~eE+]*){0,4}")


class Fed(Connection):
    """A connection that receives these bytes in small parts, and nothing else."""

    own_address = "192.0.2.1"

    def __init__(self, data: bytes) -> None:
        target = Target(VIP, 1, 2, time.monotonic() + 2, noted=[])
        super().__init__(socket.socket(), target)
        self.close()
        self._data = data

    def send(self, data: bytes, *, secret: bool = False) -> None:
        """Drop the data."""

    def receive(self, limit: int = 65535) -> bytes:
        size = min(limit, 1 + len(self._data) % 7 * 50)
        part, self._data = self._data[:size], self._data[size:]
        self._note("<", part)
        return part


class Fed2(Fed):
    """One on which HTTP/2 was agreed."""

    protocol = "h2"


class Shown(TlsConnection):
    """A connection of which nothing is there but its certificates."""

    def __init__(self, chain: list[bytes]) -> None:
        self._ders = chain

    def _chain(self) -> list[bytes]:
        return self._ders


def judge_all(seen: Observation) -> None:
    """Follow an observation to the output, for each address at which it can be made."""
    for address, present in ((VIP, True), ("127.0.0.1", False), (VIP, None)):
        sample = Sample(address, present=present, observation=seen)
        result = verdict.judge(OPTIONS, (sample,), (Metric("declared"),))
        assert 0 <= result.code <= 3
        assert result.code != 2 or verdict.is_failing(OPTIONS, seen)
        output = result.render("FUZZ", 3)
        line, *more = output.removesuffix("\n").split("\n")
        assert len(line) <= 200, line
        assert LINE.fullmatch(line), line
        figures = line.rpartition(" | ")[2]
        assert not FIGURE.sub("", figures).strip(), figures
        assert all(len(one) <= 200 and re.fullmatch(r"[ -{}~]*", one) for one in more)


def observed(probe: Callable[[], Observation]) -> None:
    """Handle what a probe returns or raises in the way that a real check does."""
    try:
        seen = probe()
    except PeerFailedError as error:
        seen = Observation(Grade.WRONG, str(error))
    judge_all(seen)


def of_dns(data: bytes) -> None:
    """Read an answer to a DNS query; the first byte decides whether it has the id of the query."""
    wire = QUERY.id.to_bytes(2, "big") + data[1:] if data[:1] < b"\xf0" else data[1:]
    is_truncated(QUERY, wire)
    refuses_edns(QUERY, wire)
    with contextlib.suppress(MalformedError, NotTheAnswerError):
        answer = parse(QUERY, wire)
        for question in (QUESTION, QUESTION._replace(nsids=(parse_nsid("ns1"),))):
            observed(functools.partial(judge, question, answer, 0.1))


def of_several(data: bytes) -> None:
    """Read the answers for several names, apart by three zero bytes, and judge them together."""
    seen = {
        f"{number}.example A": _heard(part) for number, part in enumerate(data.split(b"\0" * 3, 3))
    }
    judge_all(together.combine(OPTIONS, seen))
    present = Sample(VIP, present=True, observation=None)
    answers = []
    for name, one in seen.items():
        alone = verdict.judge(OPTIONS, (present._replace(observation=one),))
        answers.append(check_all._Answer(name, OPTIONS, one, alone))
    worst = check_all._together(answers)
    assert verdict.is_failing(OPTIONS, worst) == any(one.fails for one in answers)
    judge_all(worst._replace(parts=tuple(one.line for one in answers)))


def _heard(data: bytes) -> Observation:
    """Make an observation of an answer; the first byte is its time."""
    seconds = (data[:1] or b"\0")[0] / 250
    try:
        return judge(QUESTION, parse(QUERY, QUERY.id.to_bytes(2, "big") + data[1:]), seconds)
    except NotTheAnswerError:
        return Observation(Grade.SILENT, "no answer within 2 s")
    except MalformedError as error:
        return Observation(Grade.WRONG, str(error), seconds)


def of_http(data: bytes) -> None:
    """Read what comes over an HTTP connection."""
    request = http_client.Request("GET", "/", {"Host": "www.example.org"})
    expected = (expected_text("x"),)
    question = check_http._Question(
        request, (range(200, 400),), expected, 100, follow=False, tls=None, make=Connection
    )

    def probe() -> Observation:
        response = http_client.ask(Fed(data), request, 100)
        return check_http._judge(question, response, Judgement(), 0.1)

    observed(probe)


def of_https(data: bytes) -> None:
    """Read what comes over an HTTP/2 connection in answer to a DNS query."""
    carry = dns_https.carrier("dns.example.org", "/dns-query")
    with contextlib.suppress(MalformedError, NotTheAnswerError):
        wire = QUERY.to_wire()

        def probe() -> Observation:
            return judge(QUESTION, parse(QUERY, carry(Fed2(data), wire)), 0.1)

        observed(probe)


def of_starttls(data: bytes) -> None:
    """Read what a server says before TLS."""
    for prelude in starttls.PRELUDES.values():

        def probe(prelude: starttls.Prelude = prelude) -> Observation:
            prelude(Fed(data))
            return Observation(Grade.RIGHT, "agreed")

        observed(probe)


def of_chain(data: bytes) -> None:
    """Read certificates, each behind its length in two bytes."""
    ders = []
    while data:
        size = int.from_bytes(data[:2], "big")
        ders.append(data[2 : 2 + size])
        data = data[2 + size :]

    def probe() -> Observation:
        left, whose = Shown(ders or [b""]).first_to_expire()
        assert abs(left) < 1e12
        return Observation(Grade.POOR, f"certificate {whose} expires in {left:g} s")

    observed(probe)


def of_tcp(data: bytes) -> None:
    """Read what a TCP service says."""
    expected = (expected_text("220 "), expected_regex("^[a-z]+$"))
    talk = check_tcp._Talk(b"", expected, b"", Grade.WRONG, None, Connection)
    observed(
        lambda: Observation(Grade.RIGHT, repr(check_tcp._converse(talk, Fed(data), float("inf"))))
    )


def of_ntp(data: bytes) -> None:
    """Read a datagram of a time server, into which the stamp of the query is put."""
    stamp = b"stampede"
    packet = data[:24] + stamp + data[32:] if data[-1:] < b"\xf0" else data
    limits = check_ntp._Limits("0.5", "1", "4")
    try:
        answer = parse_ntp(packet, stamp, 1.7e9, 1.7e9 + 0.1)
    except NotTheAnswerError:
        return
    for client in check_ntp._Client:
        found = check_ntp._Found(answer, 0.1, client)
        observed(functools.partial(check_ntp._judge, limits, found))


def of_plugin(data: bytes) -> None:
    """Read what another plugin prints; the first byte is its exit status."""
    ended = Ended((data[:1] or b"\0")[0] % 6 - 1, data[1:], data[:50], cut=False)
    observed(lambda: check_plugin._judge("/x/check_y", ended, 0.1))


def of_ospf(data: bytes) -> None:
    """Read what vtysh prints, in JSON or in text."""
    try:
        view = ospf_vtysh.read(data.decode("utf-8", "replace"))
        routers = ospf.announcers(view, VIP)
        ospf.announces(view, VIP)
        ospf.unsettled(view.neighbors)
    except CheckError as error:
        judge_all(Observation(Grade.UNCLEAR, str(error)))
        return
    assert all(re.fullmatch(r"[\d.]+", router) for router in routers)


def of_endpoint(data: bytes) -> None:
    """Read what a look at an endpoint prints: addresses, boot and notes, apart by zero bytes."""
    shown, booted, noted, time = (data.decode("utf-8", "replace").split("\0") + [""] * 4)[:4]
    site = Site(FakeShell({CLOCK: Result(0, time, "")}), HELD)
    try:
        look = read(HELD, Result(0, shown, ""), Result(0, booted, ""), Result(0, noted, ""))
        seen = look.seen(site.clock())
    except HandlerError:
        return
    assert seen.latch_age is None or 0 <= seen.latch_age < LATEST
    assert json.loads(look.latch.render())["boot_id"] == look.latch.boot_id
    if look.hold:
        assert clean(str(seen.held))
        left = look.hold_left(site.clock())
        assert left is None or len(lasting(left)) < 20


def of_routing(data: bytes) -> None:
    """Read what each routing daemon says of a VIP, of IPv4 where the first byte is even."""
    vip = VIP6 if data[:1] and data[0] % 2 else VIP
    said = data[1:].decode("utf-8", "replace")

    def ask(questions: Sequence[tuple[str, ...]]) -> list[tuple[int, str, str]]:
        return [(0, said, "") for _ in questions]

    for daemon in routing.DAEMONS:
        if not daemon.carries(vip):
            continue
        try:
            state = routing.see(vip, ask, [daemon])
            weaknesses = list(daemon.weaknesses(vip, state, ask, ""))
        except CheckError as error:
            judge_all(Observation(Grade.UNCLEAR, str(error)))
            continue
        assert state.announced in (True, False)
        for text in (*map(str, state.adjacencies), *(one.text for one in weaknesses)):
            assert clean(text) or not text


def of_stream(data: bytes) -> None:
    """Read the lines of a stream, one each tenth of a second, and judge the service by them."""
    evidence = Evidence(Rules(samples=2))
    failing = 0
    for number, text in enumerate(data.decode("utf-8", "replace").split("\n")):
        now = number / 10
        try:
            line = stream_line.read(text)
        except stream_line.NotALineError as error:
            why = str(error)
            evidence.lose(why)
            line = None
            assert len(why) < 300
        if isinstance(line, stream_line.Sample):
            # The endpoint counts: it does not write a line for each failure.
            failing = line.failures if line.failing else 0
        evidence.hear(line, now)
        judgement = evidence.judge(now)
        assert clean(judgement.text, 2 * stream_line.LONGEST) == judgement.text, judgement
        assert not judgement.is_certain_failure or failing >= 2, judgement


def of_watcher(data: bytes) -> None:
    """Read what answers in the place of the watcher of this host, and make rows of it."""
    try:
        known = reading.read(data)
    except reading.NoBoardError:
        return
    assert 0 <= known.at < LATEST, known
    # By the addresses that it has said, so that each of its endpoints has a row.
    for (name, address, *_), state in known.endpoints.items():
        endpoint = Endpoint(state.name, state.address)
        vip = Vip(name, address, "lo:0", ("/bin/check",), (endpoint,))
        (row,) = _known.rows((vip,), None, known, known.at)
        assert all(clean(cell, 80) == cell for cell in row.cells), row
        is_sure = state.state is State.OK and state.present and state.announced
        assert is_sure or not row.is_well, row


TARGETS: dict[str, Callable[[bytes], None]] = {
    "dns": of_dns,
    "several": of_several,
    "http": of_http,
    "https": of_https,
    "starttls": of_starttls,
    "chain": of_chain,
    "tcp": of_tcp,
    "ntp": of_ntp,
    "plugin": of_plugin,
    "ospf": of_ospf,
    "routing": of_routing,
    "stream": of_stream,
    "watcher": of_watcher,
    "endpoint": of_endpoint,
}
