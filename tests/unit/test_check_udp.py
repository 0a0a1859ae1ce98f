"""`check_anycast udp`: one datagram to the service, and one back."""

from __future__ import annotations

import pytest

from tests.support.peer import Reply, datagram_server
from tests.support.printed import Ask, Printed


def echo(data: bytes) -> list[bytes]:
    return [data]


def udp(ask: Ask, reply: Reply, *more: object) -> Printed:
    with datagram_server(reply) as port:
        return ask("udp", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", 5, *more)


@pytest.mark.parametrize(
    "more",
    [
        ("--send", "ping"),
        ("--send", "ping", "--expect", "in"),
        ("--send", r"p\r\n", "--expect-regex", r"p\r"),
        ("--send-hex", "00 01 ff", "--expect-hex", "01ff"),
    ],
)
def test_a_right_answer(ask: Ask, more: tuple[str, ...]) -> None:
    seen = udp(ask, echo, *more)
    assert seen.code == 0
    assert seen.text.startswith("UDP OK - 127.0.0.1 announced: port ")


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (lambda _: [b"no"], "'no' has no 'pong'"),
        (lambda _: [b""], "'' has no 'pong'"),
        (lambda _: [b"\xff" * 60000], "has no 'pong'"),
        (lambda _: [], "no answer within 1 s"),
    ],
)
def test_a_wrong_answer(ask: Ask, reply: Reply, says: str) -> None:
    seen = udp(ask, reply, "--send", "ping", "--expect", "pong", "-t", 1)
    assert seen.code == 2, seen.text
    assert says in seen.text


def test_a_refusal(ask: Ask) -> None:
    with datagram_server(echo) as port:
        pass
    seen = ask("udp", "-H", "127.0.0.1", "-p", port, "--send", "x", "--tries", 1)
    assert seen.code == 2, seen.text
    assert "connection refused" in seen.text


def test_the_transcript_shows_both_sides(ask: Ask) -> None:
    lines = udp(ask, echo, "--send-hex", "0001", "-vvv").output.splitlines()
    assert lines[-2:] == [r"> \x00\x01", r"< \x00\x01"]


@pytest.mark.parametrize(
    "wrong", [(), ("--send", "x", "--send-hex", "00"), ("--send-hex", "0"), ("--send-hex", "xy")]
)
def test_what_makes_no_sense_is_a_usage_error(ask: Ask, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="--send"):
        ask("udp", "-H", "127.0.0.1", "-p", 7, *wrong)
