"""DNS over HTTPS: what browsers take is right (RFC 8484), and what they refuse is wrong."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from anycast_checks import http2_client
from anycast_checks.connection import Connection, Target
from anycast_checks.http_client import Request
from tests.support.http2 import TYPE, Answer, Heard, deaf, response_to, rightly, speaking_http2
from tests.support.peer import Talk, certificate, hanging, saying, stream_server
from tests.support.printed import Ask, Printed

QUESTION = ("--query", "www.example.org", "--expect", "192.0.2.80")


def over_https(
    ask: Ask, directory: Path, talk: Talk, *more: object, offers: tuple[str, ...] = ("h2",)
) -> Printed:
    context, trusted = certificate(directory, 90.5)
    if offers:
        context.set_alpn_protocols(list(offers))
    with stream_server(talk, context) as port:
        options = ("-p", port, "--tries", 1, "-t", "2", "--https", "--ca-file", trusted)
        return ask("dns", "-H", "127.0.0.1", *options, *QUESTION, *more)


def farewell_first(heard: Heard) -> None:
    """nginx sends GOAWAY before the answer to the last request that a connection may have."""
    heard.http.data_to_send()
    heard.connection.sendall(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\1" + bytes(4))
    rightly(heard)


def hints_first(heard: Heard) -> None:
    heard.http.send_headers(1, [(":status", "103"), ("link", "</a>; rel=preload")])
    rightly(heard)


def pings_and_unknown_frames_first(heard: Heard) -> None:
    for number in range(9):
        heard.http.ping(number.to_bytes(8, "big"))
    heard.flush()
    heard.connection.sendall(b"\0\0\2\xee\0\0\0\0\1ab")
    rightly(heard)


def trailers_behind(heard: Heard) -> None:
    heard.http.send_headers(1, [(":status", "200"), ("content-type", TYPE)])
    heard.http.send_data(1, response_to(heard.query))
    heard.http.send_headers(1, [("x-checked", "yes")], end_stream=True)
    heard.flush()


def byte_by_byte(heard: Heard) -> None:
    heard.http.send_headers(1, [(":status", "200"), ("content-type", TYPE)])
    for one in response_to(heard.query):
        heard.http.send_data(1, bytes([one]), pad_length=3)
    heard.http.end_stream(1)
    heard.flush()


def refusing_edns(heard: Heard) -> None:
    asked = dns.message.from_wire(heard.query)
    response = dns.message.make_response(asked)
    response.set_rcode(dns.rcode.FORMERR)
    heard.answer(response.to_wire() if asked.edns >= 0 else response_to(heard.query))


@pytest.mark.parametrize(
    "answer",
    [
        rightly,
        farewell_first,
        hints_first,
        pings_and_unknown_frames_first,
        trailers_behind,
        byte_by_byte,
        refusing_edns,
        lambda heard: heard.answer(response_to(heard.query), kind="Application/DNS-message; a=b"),
        lambda heard: heard.answer(response_to(heard.query), status="203"),
        lambda heard: heard.answer(response_to(heard.query) + b"\0" * 9),
    ],
)
def test_what_is_right(ask: Ask, tmp_path: Path, answer: Answer) -> None:
    seen = over_https(ask, tmp_path, speaking_http2(answer), "-v")
    assert seen.code == 0, seen.output
    assert ", h2" in seen.output
    assert "HTTPS, " in seen.output


def test_an_answer_counts_although_the_server_closes_before_it_is_told_of_it() -> None:
    """HTTP/2 wants its settings to be acknowledged, which nobody reads any more."""
    query = dns.message.make_query("www.example.org", "A").to_wire()
    headers = {"Host": "ns1.example.org", "content-type": TYPE}
    # On a pair of sockets the client's next send fails for sure.
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor() as pool:
        served = pool.submit(speaking_http2(deaf), theirs)
        target = Target("127.0.0.1", 443, 60.0, time.monotonic() + 60.0)
        request = Request("POST", "/dns-query", headers, query)
        response = http2_client.ask(Connection(ours, target), request, 65535)
        served.result()
    assert (response.status, response.body) == (200, response_to(query))


def other_id(heard: Heard) -> None:
    heard.answer(b"\1\1" + response_to(heard.query)[2:])


def reset(heard: Heard) -> None:
    heard.http.reset_stream(1, 11)
    heard.flush()


def leave(heard: Heard) -> None:
    heard.http.close_connection(2)
    heard.flush()


def leave_unheard(heard: Heard) -> None:
    heard.http.close_connection(0, last_stream_id=0)
    heard.flush()


def more_than_a_message(heard: Heard) -> None:
    heard.http.send_headers(1, [(":status", "200"), ("content-type", TYPE)])
    for _ in range(5):
        while heard.http.local_flow_control_window(1) < 16384:
            if not (more := heard.connection.recv(65535)):
                return
            heard.http.receive_data(more)
        heard.http.send_data(1, b"x" * 16384)
        heard.flush()


def close_within(heard: Heard) -> None:
    heard.http.send_headers(1, [(":status", "200"), ("content-type", TYPE)])
    heard.flush()
    heard.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda heard: heard.answer(response_to(heard.query, "192.0.2.99")), "192.0.2.99"),
        (lambda heard: heard.answer(b"", status="404"), "HTTP 404 for /dns-query"),
        (lambda heard: heard.answer(b"", status="502"), "HTTP 502 for /dns-query"),
        # Chromium and Firefox take no other type (RFC 8484, 6).
        (lambda heard: heard.answer(response_to(heard.query), kind="text/html"), "text/html, no"),
        (more_than_a_message, "more than 65535 bytes"),
        (lambda heard: heard.answer(b""), "0 bytes are no DNS message over HTTPS"),
        (other_id, "answer with another id over HTTPS"),
        (reset, "no answer over HTTP/2: enhance your calm"),
        (leave, "no answer over HTTP/2: internal error"),
        (leave_unheard, "no answer over HTTP/2: no error"),
        (close_within, "connection closed"),
        (lambda _: None, "no answer within 2 s"),
    ],
)
def test_what_is_wrong(ask: Ask, tmp_path: Path, answer: Answer, says: str) -> None:
    seen = over_https(ask, tmp_path, speaking_http2(answer))
    assert seen.code == 2, seen.output
    # The query may be sent, or half of it, when the server closes.
    closed = "broken pipe" if answer is close_within else says
    assert says in seen.text or closed in seen.text


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no HTTP/2: 'HTTP/1.1 400 Bad Request"),
        (b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\1\0\5\0\0\0\1x", "no HTTP/2: "),
        (b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\1\1\5\0\0\0\1\xff", "no HTTP/2: "),
        (b"", "connection closed"),
    ],
)
def test_no_http2(ask: Ask, tmp_path: Path, said: bytes, says: str) -> None:
    seen = over_https(ask, tmp_path, saying(said))
    assert seen.code == 2, seen.output
    assert says in seen.text


def http1(connection: socket.socket) -> None:
    """Answer by HTTP/1.1, as a proxy that speaks no other does."""
    said = b""
    while b"\r\n\r\n" not in said or len(said.partition(b"\r\n\r\n")[2]) < _length(said):
        said += connection.recv(65535)
    assert said.startswith(b"POST /q?a=b HTTP/1.1\r\n")
    assert b"\r\nhost: dns.example.org:" in said.lower()
    body = response_to(said.partition(b"\r\n\r\n")[2])
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    connection.recv(1)


def _length(said: bytes) -> int:
    return int(said.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


@pytest.mark.parametrize("offers", [("http/1.1",), ()])
def test_by_http_1(ask: Ask, tmp_path: Path, offers: tuple[str, ...]) -> None:
    more = ("--url", "/q?a=b", "--no-verify", "--host", "dns.example.org")
    context, _ = certificate(tmp_path)
    if offers:
        context.set_alpn_protocols(list(offers))
    with stream_server(http1, context) as port:
        seen = ask("dns", "-H", "127.0.0.1", "-p", port, "--tries", 1, "--https", *QUESTION, *more)
    assert seen.code == 0, seen.output


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--host", "www.example.org"), 0, "192.0.2.80"),
        (("--host", "other.example.org"), 2, "Hostname mismatch"),
        (("--cert-warning", 91), 1, "certificate expires in 90 d"),
        (("--cert-critical", 91), 2, "certificate expires in 90 d"),
        (("--query", "b.example.org"), 0, "and 1 more"),
    ],
)
def test_answer_and_certificate(
    ask: Ask, tmp_path: Path, more: tuple[object, ...], code: int, says: str
) -> None:
    seen = over_https(ask, tmp_path, speaking_http2(rightly), *more)
    assert seen.code == code, seen.text
    assert says in seen.text


def test_a_server_that_is_silent(ask: Ask, tmp_path: Path) -> None:
    seen = over_https(ask, tmp_path, hanging())
    assert seen.code == 2
    assert "no answer within 2 s" in seen.text


def test_the_port_is_443(ask: Ask) -> None:
    seen = ask("dns", "-H", "127.0.0.2", "--tries", 1, "--https", "--no-verify", *QUESTION)
    assert "connection refused" in seen.text
    assert seen.perfdata["cert_days"] == "U"


def test_without_h2_the_remedy_is_said() -> None:
    code = "import sys; sys.modules['h2'] = None; from anycast_checks.__main__ import main; main()"
    asked = [sys.executable, "-c", code, "dns", "-H", "127.0.0.1", "--https", *QUESTION]
    ended = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 3
    remedy = "--https needs the Python package h2: pip install 'anycast-checks[https]'"
    assert ended.stdout.startswith(f"DNS UNKNOWN - {remedy} | ")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--https", "--tcp"),
        ("--https", "--tls"),
        ("--url", "/dns-query"),
        ("--https", "--url", "/dns-query{?dns}"),
        ("--https", "--url", "dns-query"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(ask: Ask, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="--"):
        ask("dns", "-H", "127.0.0.1", *QUESTION, *wrong)
