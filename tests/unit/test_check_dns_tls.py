"""DNS over TLS: the answer and the certificate are judged together."""

from __future__ import annotations

import socket
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from tests.support.peer import Talk, certificate, stream_server
from tests.support.printed import Ask, Printed

QUESTION = ("--query", "www.example.org", "--expect", "192.0.2.80")


def answering(address: str) -> Talk:
    """Answer one question over a stream, as RFC 7858 says."""

    def talk(connection: socket.socket) -> None:
        size = int.from_bytes(connection.recv(2), "big")
        query = dns.message.from_wire(connection.recv(size))
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", address))
        wire = response.to_wire()
        connection.sendall(len(wire).to_bytes(2, "big") + wire)

    return talk


def over_tls(
    ask: Ask, directory: Path, *more: object, answer: str = "192.0.2.80", days: float = 90.5
) -> Printed:
    context, trusted = certificate(directory, days)
    with stream_server(answering(answer), context) as port:
        options = ("-p", port, "--tries", 1, "--tls", "--ca-file", trusted)
        return ask("dns", "-H", "127.0.0.1", *options, *QUESTION, *more)


@pytest.mark.parametrize("host", [(), ("--host", "www.example.org")])
def test_a_right_answer(ask: Ask, tmp_path: Path, host: tuple[str, ...]) -> None:
    seen = over_tls(ask, tmp_path, *host, "-v")
    assert seen.code == 0, seen.output
    assert "TLS, " in seen.output
    assert "TLSv1.3, " in seen.output
    assert seen.perfdata["cert_days"] == "U"


@pytest.mark.parametrize(
    ("more", "answer", "code", "says"),
    [
        ((), "192.0.2.99", 2, "192.0.2.99"),
        (("--host", "other.example.org"), "192.0.2.80", 2, "Hostname mismatch"),
        (("--cert-warning", 91), "192.0.2.80", 1, "certificate expires in 90 d"),
        (("--cert-critical", 91), "192.0.2.80", 2, "certificate expires in 90 d"),
        # What clients suffer from first is said, and the worse of the two counts.
        (("--cert-warning", 91), "192.0.2.99", 2, "192.0.2.99"),
        (("--cert-warning", 91, "--query", "a.example.org"), "192.0.2.80", 1, "expires in 90"),
    ],
)
def test_answer_and_certificate(
    ask: Ask, tmp_path: Path, more: tuple[object, ...], answer: str, code: int, says: str
) -> None:
    seen = over_tls(ask, tmp_path, *more, answer=answer)
    assert seen.code == code, seen.text
    assert says in seen.text


def test_an_expired_certificate(ask: Ask, tmp_path: Path) -> None:
    seen = over_tls(ask, tmp_path, days=-1)
    assert seen.code == 2
    assert "TLS: certificate has expired" in seen.text


def test_a_server_without_tls(ask: Ask) -> None:
    with stream_server(answering("192.0.2.80")) as port:
        seen = ask(
            "dns", "-H", "127.0.0.1", "-p", port, "--tries", 1, "--tls", "--no-verify", *QUESTION
        )
    assert seen.code == 2, seen.text


def test_the_port_is_853(ask: Ask) -> None:
    seen = ask("dns", "-H", "127.0.0.1", "--tries", 1, "--tls", "--no-verify", *QUESTION)
    assert "connection refused" in seen.text


def test_without_tls_there_is_no_certificate(ask: Ask) -> None:
    seen = ask("dns", "-H", "127.0.0.1", "-p", 1, "--tries", 1, *QUESTION)
    assert "cert_days" not in seen.perfdata


@pytest.mark.parametrize("wrong", [("--host", "x"), ("--tls", "--tcp"), ("--cert-warning", "3")])
def test_what_makes_no_sense_is_a_usage_error(ask: Ask, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="--"):
        ask("dns", "-H", "127.0.0.1", *QUESTION, *wrong)
