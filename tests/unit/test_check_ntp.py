"""`check_anycast ntp`: what a time server may answer, byte by byte."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from anycast_checks.ntp_packet import make_query, parse
from tests.support.ntp_server import EPOCH, packet
from tests.support.peer import Reply, datagram_server, server_that_sees_clients
from tests.support.printed import Ask, Printed


def answering(**changes: Any) -> Reply:
    return lambda query: [packet(query, **changes)]


def ntp(ask: Ask, reply: Reply, *more: object) -> Printed:
    with datagram_server(reply) as port:
        return ask("ntp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", 1, *more)


def test_a_right_answer(ask: Ask) -> None:
    seen = ntp(ask, answering(), "-v")
    assert seen.code == 0
    assert seen.text.startswith("NTP OK - 127.0.0.1 announced: stratum 2, offset ")
    assert seen.perfdata["stratum"] == "2"
    assert seen.perfdata["root_dispersion"].startswith("0.0099")
    assert "reference 192.0.2.1, leap indicator 0" in seen.output


@pytest.mark.parametrize("ahead", [-3.0, 3.0])
def test_the_offset_is_measured_and_has_a_sign(ask: Ask, ahead: float) -> None:
    seen = ntp(ask, answering(ahead=ahead), "--offset-critical", 1, "--offset-warning", 0.5)
    assert seen.code == 2
    # The answer may have taken all of its time on the way there, or on the way back.
    off = float(seen.perfdata["time"].split("s;")[0]) / 2
    assert float(seen.perfdata["offset"].split("s;")[0]) == pytest.approx(ahead, abs=off + 0.01)
    assert seen.perfdata["offset"].endswith("s;0.5;1")
    assert re.search(r" offset [-+]\d+\.\d{3} s is outside of 1 in ", seen.text)


# The second era of NTP begins on 7 February 2036, when its seconds start from 0 again.
SECOND_ERA = 2**32 - EPOCH


@pytest.mark.parametrize("here", [SECOND_ERA - 2, SECOND_ERA + 2, SECOND_ERA + 2**32 + 2])
@pytest.mark.parametrize("ahead", [-3.0, 0.0, 3.0])
def test_the_offset_is_right_where_an_era_of_ntp_ends(here: float, ahead: float) -> None:
    query, stamp_sent = make_query()
    answer = parse(packet(query, at=here + ahead), stamp_sent, here, here)
    assert answer.offset == pytest.approx(ahead, abs=1e-3)


def test_a_small_offset_is_a_warning_at_most(ask: Ask) -> None:
    seen = ntp(ask, answering(ahead=-0.9), "--offset-critical", 2, "--offset-warning", 0.5)
    assert seen.code == 1
    assert re.search(r" announced, offset -0\.\d{3} s is outside of 0.5 in ", seen.text)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"leap": 3, "stratum": 0, "reference": b"INIT"},
         "not synchronised: leap 3, stratum 0, kiss code INIT in "),
        ({"leap": 3, "stratum": 16}, "not synchronised: leap 3, stratum 16 in "),
        ({"stratum": 16}, "not synchronised: leap 0, stratum 16 in "),
        ({"stratum": 0, "reference": b"STEP"}, "leap 0, stratum 0, kiss code STEP in "),
        ({"stratum": 5}, "stratum 5 is outside of 4 in "),
    ],
)  # fmt: skip
def test_a_server_without_good_time(ask: Ask, changes: dict[str, Any], says: str) -> None:
    seen = ntp(ask, answering(**changes), "--stratum-critical", 4)
    assert seen.code == 2, seen.text
    assert says in seen.text


@pytest.mark.parametrize("times", [slice(32, 40), slice(40, 48), slice(32, 48)])
def test_an_answer_without_its_times_sets_no_clock(ask: Ask, times: slice) -> None:
    """Clients discard what has not both (RFC 5905, 8, and TEST3 of its appendix A.5.1)."""

    def reply(query: bytes) -> list[bytes]:
        answer = bytearray(packet(query))
        answer[times] = bytes(times.stop - times.start)
        return [bytes(answer)]

    seen = ntp(ask, reply)
    assert seen.code == 2, seen.text
    assert "stratum 2, but its receive or transmit time stamp is 0" in seen.text
    assert seen.perfdata["offset"] == "U"


@pytest.mark.parametrize("code", ["RATE", "DENY", "RSTR"])
def test_a_server_that_refuses_us_has_failed_nobody_else(ask: Ask, code: str) -> None:
    seen = ntp(ask, answering(stratum=0, leap=3, reference=code.encode()))
    assert seen.code == 3
    assert f"127.0.0.1 announced, cannot tell: kiss code {code}: it " in seen.text
    assert seen.perfdata["present"] == "1"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (lambda _: [], "no answer within 1 s"),
        (lambda _: [b"x" * 47], "ignored: 47 bytes are no NTP packet"),
        (answering(origin=1), "ignored: the answer to another query"),
        (answering(mode=3), "ignored: a packet of mode 3, which is not a server's"),
        (answering(version=7), "ignored: a packet of version 7"),
        (lambda query: [query], "ignored: a packet of mode 3"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(ask: Ask, reply: Reply, says: str) -> None:
    seen = ntp(ask, reply)
    assert seen.code == 2, seen.text
    assert says in seen.text


def test_the_right_answer_behind_a_wrong_one_counts(ask: Ask) -> None:
    seen = ntp(ask, lambda query: [b"", packet(query, origin=5), packet(query)])
    assert seen.code == 0


def test_no_two_queries_are_alike_and_none_tells_the_time(ask: Ask) -> None:
    heard: list[bytes] = []

    def reply(query: bytes) -> list[bytes]:
        heard.append(query)
        return [packet(query)]

    for _ in range(2):
        ntp(ask, reply)
    assert heard[0] != heard[1]
    assert {(len(query), query[:40]) for query in heard} == {(48, b"\x23" + bytes(39))}


@pytest.mark.parametrize("limited", [None, b"RATE"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9"])
def test_a_server_that_limits_its_rate_is_well(
    ask: Ask, limited: bytes | None, address: str
) -> None:
    """chrony's `ratelimit` drops, ntpd's `limited kod` refuses: each client for itself."""
    known = {"127.0.0.1"}

    def handle(query: bytes, client: str) -> list[bytes]:
        if client not in known:
            known.add(client)
            return [packet(query)]
        return [packet(query, stratum=0, leap=3, reference=limited)] if limited else []

    with server_that_sees_clients(handle, address) as port:
        for _ in range(3):
            seen = ask("ntp", "-H", address, "-p", port, "--tries", 1, "-t", 1)
            assert seen.code == 0, seen.text
            assert " ms, limits how often this check may ask in " in seen.text
    assert len(known) == 4


def test_a_limited_server_without_good_time_is_critical(ask: Ask) -> None:
    def handle(query: bytes, client: str) -> list[bytes]:
        return [] if client == "127.0.0.1" else [packet(query, leap=3, stratum=16)]

    with server_that_sees_clients(handle) as port:
        seen = ask("ntp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", 1)
    assert seen.code == 2
    assert "not synchronised" in seen.text


def test_a_slow_server_is_heard_to_the_end(ask: Ask) -> None:
    """The second question does not end the wait for the answer to the first one."""
    late = threading.Event()

    def handle(query: bytes, client: str) -> list[bytes]:
        if client == "127.0.0.1":
            # The answer is sent once the second question has been asked as well.
            threading.Timer(0.6, late.set).start()
            late.wait()
            return [packet(query)]
        return []

    with server_that_sees_clients(handle) as port:
        seen = ask("ntp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", 1)
    assert seen.code == 0, seen.text
    assert "limits" not in seen.text
    assert float(seen.perfdata["time"].split("s;")[0]) > 0.5


def test_a_client_elsewhere_asks_once(ask: Ask) -> None:
    """Only on the endpoint there is another client to ask as."""
    heard: list[str] = []

    def handle(_: bytes, client: str) -> list[bytes]:
        heard.append(client)
        return []

    with server_that_sees_clients(handle) as port:
        seen = ask("ntp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", 1, "--client")
    assert (seen.code, heard) == (2, ["127.0.0.1"])


@contextlib.contextmanager
def of_both_families(handle: Callable[[bytes, str], list[bytes]]) -> Iterator[int]:
    """Serve on ::1 and 127.0.0.1 at the same port."""
    with contextlib.ExitStack() as stack:
        while True:
            port = stack.enter_context(server_that_sees_clients(handle, "::1"))
            try:
                stack.enter_context(server_that_sees_clients(handle, "127.0.0.1", port))
            except OSError:  # somebody else has this port
                continue
            break
        yield port


@pytest.mark.parametrize(
    ("serves", "code", "says"),
    [
        ({"::1": 2}, 0, " ms, limits how often this check may ask in "),
        ({"127": 1}, 3, " announced, cannot tell: silent, but answers over IPv4: it may limit how"),
        ({"::1": 2, "127": 1}, 0, "limits how often this check may ask"),
        ({}, 2, "still announced: no answer within 1 s (1 of 1 tries)"),
    ],
)
def test_ipv6_has_no_other_client_but_loopback(
    ask: Ask, serves: dict[str, int], code: int, says: str
) -> None:
    """Where a server is silent over IPv6 alone, nobody can tell a limit from a failure."""
    heard: list[str] = []

    def handle(query: bytes, client: str) -> list[bytes]:
        family = client[:3]
        heard.append(family)
        return [packet(query)] if heard.count(family) == serves.get(family) else []

    with of_both_families(handle) as port:
        seen = ask("ntp", "-H", "::1", "-p", port, "--tries", 1, "-t", 1)
    assert seen.code == code, seen.text
    assert says in seen.text
    assert heard.count("::1") == 2
    assert "127" in heard or code == 0


def test_a_bad_answer_over_ipv4_is_no_hint(ask: Ask) -> None:
    def handle(query: bytes, client: str) -> list[bytes]:
        return [packet(query, leap=3, stratum=16)] if "." in client else []

    with of_both_families(handle) as port:
        assert ask("ntp", "-H", "::1", "-p", port, "--tries", 1, "-t", 1).code == 2
