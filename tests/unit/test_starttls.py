"""TLS that is asked for in the words of a protocol, from servers that speak as real ones do."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from tests.support.peer import Talk, certificate, stream_server
from tests.support.printed import Ask, Printed

GREETING = b"220-mail.example.org\r\n220 ESMTP\r\n"
CAPABLE = b"250-mail.example.org\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
# Messages of OpenLDAP's slapd 2.5: success, and protocolError where it has no certificate.
LDAP_OK = bytes.fromhex("300c02010178070a010004000400")
LDAP_NO = bytes.fromhex("3020020101781b0a01020400041475") + b"nsupported extension"
# The same in the form of Active Directory, which writes each length in five bytes.
LDAP_LONG = bytes.fromhex("3084000000100201017884000000070a010004000400")
LDAP_LONG_NO = LDAP_LONG.replace(b"\x0a\x01\x00", b"\x0a\x01\x34")
# The server says the first of these at once, and another one to each line of the client.
SERVERS = {
    "smtp": (GREETING, [CAPABLE, b"220 2.0.0 Ready to start TLS\r\n"]),
    "imap": (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", [b"* 1 X\r\na OK Begin TLS\r\n"]),
    "pop3": (b"+OK Dovecot ready.\r\n", [b"+OK Begin TLS negotiation now.\r\n"]),
    "ldap": (b"", [LDAP_OK]),
}


def server(context: ssl.SSLContext | None, first: bytes, answers: list[bytes], step: int) -> Talk:
    """Speak first, if so, then answer each line of the client, and then speak TLS."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        for answer in answers:
            connection.recv(4096)
            for at in range(0, len(answer), step):
                connection.sendall(answer[at : at + step])
        if context:
            with context.wrap_socket(connection, server_side=True) as spoken:
                spoken.recv(4096)
                spoken.sendall(b"250 within\r\n")

    return talk


def tcp(ask: Ask, talk: Talk, protocol: str, *more: object) -> Printed:
    with stream_server(talk) as port:
        options = ("-p", port, "--tries", 1, "-t", 5, "--starttls", protocol, *more)
        return ask("tcp", "-H", "127.0.0.1", *options)


@pytest.mark.parametrize("step", [1, 4096])
@pytest.mark.parametrize("protocol", SERVERS)
def test_all_is_said_within_tls(ask: Ask, tmp_path: Path, protocol: str, step: int) -> None:
    context, trusted = certificate(tmp_path)
    first, answers = SERVERS[protocol]
    own = ("--ca-file", trusted, "--send", "x", "--expect", "within", "--cert-warning", 30)
    seen = tcp(ask, server(context, first, answers, step), protocol, *own)
    assert seen.code == 0, seen.text
    assert seen.perfdata["cert_days"] != "U"


def test_an_agreement_in_long_form(ask: Ask, tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path)
    own = ("--ca-file", trusted, "--send", "x", "--expect", "within")
    seen = tcp(ask, server(context, b"", [LDAP_LONG], 3), "ldap", *own)
    assert seen.code == 0, seen.text


@pytest.mark.parametrize(
    ("first", "agreement"),
    [
        (b"* OK ready\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\n", b"a OK go\r\n"),
        (b"* ok ready\r\n", b"A ok go\r\n"),
    ],
)
def test_what_an_imap_server_may_say(
    ask: Ask, tmp_path: Path, first: bytes, agreement: bytes
) -> None:
    """Any untagged line may stand anywhere (RFC 9051, 7), and case is nothing (9)."""
    context, trusted = certificate(tmp_path)
    own = ("--ca-file", trusted, "--send", "x", "--expect", "within")
    seen = tcp(ask, server(context, first, [agreement], 4096), "imap", *own)
    assert seen.code == 0, seen.text


@pytest.mark.parametrize(
    ("address", "literal"), [("127.0.0.1", b"[127.0.0.1]"), ("::1", b"[IPv6:::1]")]
)
def test_a_client_of_smtp_has_a_name_that_every_server_takes(
    ask: Ask, address: str, literal: bytes
) -> None:
    """A domain with a dot, or the address (RFC 5321, 4.1.4): Postfix can refuse all else."""
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(GREETING)
        heard.append(connection.recv(4096))

    with stream_server(talk, address=address) as port:
        ask("tcp", "-H", address, "-p", port, "--tries", 1, "-t", 5, "--starttls", "smtp")
    assert heard == [b"EHLO " + literal + b"\r\n"]


@pytest.mark.parametrize(
    ("protocol", "first", "answers", "says"),
    [
        ("smtp", b"554 No service\r\n", [b""], "no greeting of SMTP: '554 No"),
        ("smtp", GREETING, [CAPABLE, b"454 TLS not available\r\n"], "no TLS by STARTTLS: '454"),
        ("imap", b"* BYE\r\n", [b""], "no greeting of IMAP: '* BYE"),
        ("imap", b"* OK x\r\n", [b"a BAD no\r\n"], "no TLS by STARTTLS: 'a BAD no"),
        ("pop3", b"-ERR\r\n", [b""], "no greeting of POP3: '-ERR"),
        ("pop3", b"+OK\r\n", [b"-ERR no\r\n"], "no TLS by STLS: '-ERR no"),
        ("ldap", b"", [LDAP_NO], "no TLS by StartTLS"),
        ("ldap", b"", [LDAP_LONG_NO], "no TLS by StartTLS"),
        ("ldap", b"", [b"\x30\0"], "no TLS by StartTLS"),
        ("ldap", b"", [b"HTTP/1.1 400 Bad\r\n"], "no TLS by StartTLS: 'HTTP/1.1"),
        # A line that somebody put behind the agreement must not count as said within TLS.
        ("pop3", b"+OK\r\n", [b"+OK\r\n-ERR injected\r\n"], "no TLS by STLS"),
    ],
)
def test_a_server_that_does_not_agree(
    ask: Ask, protocol: str, first: bytes, answers: list[bytes], says: str
) -> None:
    seen = tcp(ask, server(None, first, answers, 4096), protocol)
    assert seen.code == 2, seen.text
    assert says in seen.text
