"""`check_anycast tcp`: what a service says, and all that it can do instead."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.peer import Talk, certificate, hanging, saying, saying_for_ever, stream_server
from tests.support.printed import Ask, Printed

BANNER = b"220 mail.example.org ESMTP\r\n"


# Seconds in which an answer comes, also on a busy machine, and for which nothing is waited.
PATIENCE, BRIEF = 5, ("-t", 1)


def tcp(ask: Ask, talk: Talk, *more: object) -> Printed:
    with stream_server(talk) as port:
        return ask("tcp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", PATIENCE, *more)


def test_a_connection_is_enough(ask: Ask) -> None:
    with stream_server(hanging()) as port:
        seen = ask("tcp", "-H", "127.0.0.1", "-p", port)
    assert seen.code == 0
    assert seen.text.startswith(f"TCP OK - 127.0.0.1 announced: port {port}: connected in ")


@pytest.mark.parametrize(
    ("talk", "more"),
    [
        (hanging(BANNER), ("--expect", "220 ")),
        (hanging(BANNER), ("--expect-regex", "^220 .* ESMTP\r$")),
        (hanging(b"220 ma", b"il ESMTP"), ("--expect", "220", "--expect", "ESMTP")),
        (saying(b"PONG"), ("--send", r"PING\r\n", "--expect", "PONG")),
        (saying(b"\0\1\2"), ("--send", "x", "--expect", r"\x00\x01")),
    ],
)
def test_a_right_answer(ask: Ask, talk: Talk, more: tuple[str, ...]) -> None:
    seen = tcp(ask, talk, *more)
    assert seen.code == 0, seen.text


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        (hanging(b"554 go away\r\n"), r"no '220 ' in the answer '554 go away', and no more of it"),
        (saying(b"554\r\n", first=True), "no '220 ' in the answer '554'"),
        (saying(first=True), "connection closed without an answer"),
        (hanging(), "no answer within 1 s"),
        (saying_for_ever(b"", b"x" * 65536), "of more than 65536 bytes"),
        (saying(b"\x00\xff|\n" * 9, first=True), r"no '220 ' in the answer '\x00\xff!\n"),
    ],
)
def test_a_wrong_answer(ask: Ask, talk: Talk, says: str) -> None:
    seen = tcp(ask, talk, "--expect", "220 ", "--send", "x", *BRIEF)
    assert seen.code == 2
    assert says in seen.text


@pytest.mark.parametrize(("state", "code"), [("critical", 2), ("warning", 1), ("ok", 0)])
def test_a_refusal_has_the_state_that_was_asked_for(ask: Ask, state: str, code: int) -> None:
    with stream_server(hanging()) as port:
        pass
    seen = ask("tcp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "--refuse-state", state)
    assert seen.code == code, seen.text
    assert "connection refused" in seen.text


def test_silence_is_no_refusal(ask: Ask) -> None:
    seen = tcp(ask, hanging(), "--expect", "x", "--refuse-state", "ok", *BRIEF)
    assert seen.code == 2


def test_a_goodbye_is_said(ask: Ask) -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(BANNER)
        heard.append(connection.recv(100))

    assert tcp(ask, talk, "--expect", "220", "--quit", r"QUIT\r\n").code == 0
    assert heard == [b"QUIT\r\n"]


def test_the_transcript_shows_both_sides(ask: Ask) -> None:
    seen = tcp(ask, saying(BANNER), "--send", r"HELO x\r\n", "--expect", "220", "-vvv")
    assert r"> HELO x\r\n" in seen.output
    assert r"< 220 mail.example.org ESMTP\r\n" in seen.output


def test_it_is_there_for_a_failure_too(ask: Ask) -> None:
    seen = tcp(ask, hanging(b"wrong"), "--expect", "220", "-vvv", *BRIEF)
    assert "< wrong" in seen.output.splitlines()


class TestTls:
    def test_what_is_said_inside(self, ask: Ask, tmp_path: Path) -> None:
        context, trusted = certificate(tmp_path)
        with stream_server(saying(BANNER), context) as port:
            options = ("-p", port, "--tries", 1, "--tls", "--ca-file", trusted, "--send", "x")
            seen = ask("tcp", "-H", "127.0.0.1", *options, "--expect", "220 ", "-vvv")
            other = ask("tcp", "-H", "127.0.0.1", *options, "--host", "mail.example.com")
        assert seen.code == 0, seen.output
        assert "< 220 mail" in seen.output
        assert other.code == 2, other.text
        assert "Hostname mismatch" in other.text

    def test_a_certificate_that_expires(self, ask: Ask, tmp_path: Path) -> None:
        context, trusted = certificate(tmp_path, days=5.5)
        with stream_server(saying(BANNER), context) as port:
            options = ("-p", port, "--tries", 1, "--tls", "--ca-file", trusted)
            seen = ask("tcp", "-H", "127.0.0.1", *options, "--cert-warning", 14)
        assert seen.code == 1
        assert f"certificate expires in 5 d, port {port}: connected in " in seen.text


@pytest.mark.parametrize(
    "wrong", [("--host", "x"), ("--send", r"\q"), ("--send", "x\\"), ("--expect", "")]
)
def test_what_makes_no_sense_is_a_usage_error(ask: Ask, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match=wrong[0]):
        ask("tcp", "-H", "127.0.0.1", "-p", 25, *wrong)


def test_a_port_is_needed(ask: Ask) -> None:
    with pytest.raises(Exception, match="--port"):
        ask("tcp", "-H", "127.0.0.1")
