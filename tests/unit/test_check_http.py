"""`check_anycast http`: every way in which a web server can be right, wrong or silent."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from anycast_checks.command import run_check
from anycast_checks.errors import CheckError
from anycast_checks.http_chunks import Chunks
from anycast_checks.run import CheckRun
from tests.support.peer import (
    Talk,
    certificate,
    chain,
    hanging,
    saying,
    saying_for_ever,
    stream_server,
)
from tests.support.printed import Ask, Printed

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: text/html\r\n\r\nWelcome home"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LIMIT = "0.3"


def http(ask: Ask, talk: Talk, *more: object) -> Printed:
    with stream_server(talk) as port:
        return ask("http", "-H", "127.0.0.1", "-p", port, "--tries", 1, "-t", LIMIT, *more)


def test_a_right_answer(ask: Ask) -> None:
    seen = http(ask, saying(PAGE), "--string", "Welcome", "--regex", "h.me$", "-v")

    assert seen.code == 0
    assert seen.text.startswith("HTTP OK - 127.0.0.1 announced: 200 OK, 12 bytes in ")
    assert seen.perfdata["size"] == "12B;;;0"
    assert seen.perfdata["cert_days"] == "U"
    assert "Content-Type: text/html" in seen.output.splitlines()


@pytest.mark.parametrize(
    ("answer", "more", "says"),
    [
        (b"HTTP/1.1 500 Oops\r\n\r\n", (), "500 Oops, 0 bytes: not the status"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", (), "404 Not Found, 0 bytes: not the status"),
        (b"HTTP/1.1 200 OK\r\n\r\n", ("--status", "204"), "200 OK, 0 bytes: not the status"),
        (PAGE, ("--string", "Goodbye"), "200 OK, 12 bytes: no 'Goodbye' in the body"),
        (PAGE, ("--regex", "^home"), "no '^home' in the body"),
        (PAGE, ("--string", "Welcome", "--string", "you"), "no 'you' in the body"),
        (PAGE, ("--string", "home", "--max-bytes", 7), "no 'home' in the first 7 bytes"),
        (PAGE[:-3], (), "200 OK, then closed, 3 bytes too early"),
        (CHUNKED + b"5\r\nWel", (), "200 OK, then closed after"),
        (CHUNKED + b"zz\r\nWel", (), "200 OK, then "),
        (PAGE[:20], (), "200 OK, then closed within the head"),
        (PAGE[:12], (), "closed within the head"),
        (PAGE[:9], (), "no HTTP: "),
        (b"", (), "connection closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", (), "no HTTP: SSH-2.0-OpenSSH_9.2"),
        (b"\x00\xff" * 99, (), "no HTTP: "),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99999 + b"\r\n", (), "no HTTP: a head of more"),
        (b"HTTP/1.1 200 " + b"x" * 99999, (), "200 " + "x" * 20),
        (b"HTTP/1.1 999999 OK\r\n\r\n", (), "no HTTP: "),
    ],
)  # fmt: skip
def test_a_wrong_answer(ask: Ask, answer: bytes, more: tuple[object, ...], says: str) -> None:
    seen = http(ask, saying(answer), *more)

    assert seen.code == 2
    assert seen.text.startswith("HTTP CRITICAL - 127.0.0.1 still announced: ")
    assert says in seen.text


# What real servers send, and curl takes; RFC 9110 and 9112 say what each means.
HEAD = b"HTTP/1.1 200 OK\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
LONG = b"Content-Length: 2\r\n"
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n"
ONE = b"1\r\nh\r\n0\r\n\r\n"
UP_TO_5 = ("--max-bytes", 5)
UPGRADE = ("--header", "Upgrade: websocket", "--header", "Connection: Upgrade", "--status", "101")


@pytest.mark.parametrize(
    ("answer", "more", "says"),
    [
        # Interim answers (RFC 9110, 15.2). HAProxy sends 103, and WebDAV servers 102.
        (HINTS + PAGE, (), "200 OK, 12 bytes"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + HINTS + PAGE, (), "200 OK, 12 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS + PAGE, (), "200 OK, 12 bytes"),
        # They have no body, whatever the head says of it (RFC 9112, 6.3).
        (b"HTTP/1.1 204 Nothing\r\n" + IN_CHUNKS + b"\r\n", (), "204 Nothing, 0 bytes"),
        (b"HTTP/1.1 304 Known\r\n" + IN_CHUNKS + b"\r\n", (), "304 Known, 0 bytes"),
        (b"HTTP/1.1 304 Known\r\n" + LONG + b"\r\n", (), "304 Known, 0 bytes"),
        # Nothing limits their number (RFC 9110, 5.4); curl takes 300 kB of them.
        (HEAD + b"X-A: y\r\n" * 999 + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        (HEAD + b"X-A: " + b"y" * 70000 + b"\r\n" + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        # Forbidden to servers, and taken by clients (RFC 9112, 5.1).
        (HEAD + b"Content-Length : 2\r\n\r\nhi", (), "200 OK, 2 bytes"),
        # The same length twice is one length (RFC 9110, 8.6).
        (HEAD + b"Content-Length: 2, 2\r\n\r\nhi", (), "200 OK, 2 bytes"),
        (HEAD + LONG * 2 + b"\r\nhi", (), "200 OK, 2 bytes"),
        # As long as the limit, with an extension and a trailer (RFC 9112, 7.1).
        (CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", UP_TO_5, "200 OK, 5 bytes"),
        (HEAD + b"Content-Length: 5\r\n\r\nhello", UP_TO_5, "200 OK, 5 bytes"),
        # Lines between the chunks that curl and browsers take.
        (CHUNKED + b"2 ;ext\r\nhi\r\n0 ;ext\r\n\r\n", (), "200 OK, 2 bytes"),
        (CHUNKED + b"2\t;a=\"b;c\"\r\nhi\r\n000\r\n\r\n", (), "200 OK, 2 bytes"),
        (CHUNKED + b"2\nhi\n0\n\n", (), "200 OK, 2 bytes"),
        (CHUNKED + b"2\nhi\r\n0\r\n\n", (), "200 OK, 2 bytes"),
        (CHUNKED + b"2\r\r\nhi\r\r\n0\r\r\n\r\r\n", (), "200 OK, 2 bytes"),
        (CHUNKED + b"2\r\n\r\n\r\n0\r\n\r\n", ("--string", "\\r\\n"), "200 OK, 2 bytes"),
        (CHUNKED + b"2\r\nhi\r\n0\r\nX : y\r\nZ:\n\r\n", (), "200 OK, 2 bytes"),
        # Where both are said the chunks count (RFC 9112, 6.3).
        (HEAD + LONG + IN_CHUNKS + b"\r\n1\r\nh\r\n0\r\n\r\n", (), "200 OK, 1 bytes"),
        (HEAD + LONG + b"Content-Length: 3\r\n" + IN_CHUNKS + b"\r\n" + ONE, (), "200 OK, 1 bytes"),
        # Said twice: by an application, and by the server before it (curl and browsers).
        (HEAD + IN_CHUNKS * 2 + b"\r\n" + ONE, (), "200 OK, 1 bytes"),
        (HEAD + b"Transfer-Encoding: chunked, Chunked\r\n\r\n" + ONE, (), "200 OK, 1 bytes"),
        (HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n" + ONE, (), "200 OK, 1 bytes"),
        (HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + ONE, (), "200 OK, 1 bytes"),
        (HEAD + b"Transfer-Encoding:\r\n" + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        (HEAD + LONG + b"Content-Length: 02\r\n\r\nhi", (), "200 OK, 2 bytes"),
        # CGI in the text mode of Windows, and old devices (curl).
        (HEAD.replace(b"\r", b"\r\r") + b"Content-Length: 2\r\r\n\r\r\nhi", (), "200 OK, 2 bytes"),
        (b"http/1.1  200 OK\r\n" + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        # Line feeds alone (RFC 9112, 2.2), no reason (4), an old version, a folded line (5.2).
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", (), "200 OK, 2 bytes"),
        (b"HTTP/1.1 200\r\n" + LONG + b"\r\nhi", (), "200, 2 bytes"),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", (), "200 OK, 2 bytes"),
        (HEAD + b"X: a\r\n b\r\n" + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        # curl passes over these.
        (HEAD + b"what is this\r\n" + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        (HEAD + b"X: \x01\xff\r\n" + LONG + b"\r\nhi", (), "200 OK, 2 bytes"),
        (HEAD + b"Transfer-Encoding: identity\r\n\r\nhi", (), "200 OK, 2 bytes"),
        # Another protocol begins, and is not waited for.
        (b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n", UPGRADE, "101 Go, 0 bytes"),
    ],
)  # fmt: skip
def test_what_is_odd_and_right(
    ask: Ask, answer: bytes, more: tuple[object, ...], says: str
) -> None:
    seen = http(ask, saying(answer), *more)

    assert seen.code == 0, seen.text
    assert says in seen.text


def test_chunks_are_the_same_however_they_come() -> None:
    body = b"2 ;e\nhi\r\n1\t;a\r\n\n\r\n0 \r\r\nX : y\r\nZ: \n\r\nHTTP/1.1 200 OK\r\n"
    written = b"2\r\nhi\r\n1\r\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"
    assert Chunks().tolerated(body) == written
    for cut in range(len(body)):
        chunks = Chunks()
        assert chunks.tolerated(body[:cut]) + chunks.tolerated(body[cut:]) == written, cut
    chunks = Chunks()
    assert b"".join(chunks.tolerated(bytes([byte])) for byte in body) == written


def test_a_line_between_chunks_without_an_end_is_not_kept() -> None:
    chunks = Chunks()
    assert b"".join(chunks.tolerated(b"2;" + b"a" * 9998) for _ in range(99)).startswith(b"2;a")
    assert not chunks._unread


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhey",
        HEAD + b"Content-Length: -2\r\n\r\nhi",
        CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2xyz\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b" 2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nhi \r\n0\r\n\r\n",
        CHUNKED + b"2\r\nhi0\r\n\r\n",
        CHUNKED + b"2\r\nhi\r\n0\r\n",
        CHUNKED + b"2\r\nhi\r\n0\r\nno field\r\n\r\n",
        CHUNKED + b"%s2\r\nhi\r\n0\r\n\r\n" % (b"0" * 20),
        HEAD + b"Transfer-Encoding: x-own\r\n" + LONG + b"\r\nhi",
        HEAD + b"Content-Length: 2, 3\r\n\r\nhey",
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhi",
        HINTS,
        HINTS * 9999,
    ],
)
def test_what_no_client_can_read(ask: Ask, answer: bytes) -> None:
    assert http(ask, saying(answer)).code == 2


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        (hanging(), "no answer within 0.3 s"),
        (hanging(PAGE[:-3]), "200 OK, then not all of it in time"),
        (hanging(CHUNKED), "200 OK, then not all of it in time"),
    ],
)
def test_a_peer_that_hangs(ask: Ask, talk: Talk, says: str) -> None:
    seen = http(ask, talk)

    assert seen.code == 2, seen.text
    assert says in seen.text


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED])
def test_an_endless_body_is_read_as_far_as_wanted(ask: Ask, head: bytes) -> None:
    part = b"400\r\n" + b"x" * 1024 + b"\r\n" if head == CHUNKED else b"x" * 1024
    seen = http(ask, saying_for_ever(head, part), "--max-bytes", 5000, "-t", 5)

    assert seen.code == 0
    assert "200 OK, more than 5000 bytes in " in seen.text


def test_an_endless_head_ends_with_the_try(ask: Ask) -> None:
    seen = http(ask, saying_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"))

    assert seen.code == 2
    assert seen.line.startswith("HTTP CRITICAL - ")


class TestRequest:
    @pytest.fixture
    def heard(self) -> list[bytes]:
        return []

    @pytest.fixture
    def listener(self, heard: list[bytes]) -> Talk:
        def talk(connection: socket.socket) -> None:
            heard.append(connection.recv(65536))
            connection.sendall(PAGE)

        return talk

    def test_it_is_what_was_asked_for(self, ask: Ask, listener: Talk, heard: list[bytes]) -> None:
        more = ("--host", "www.example.org", "--url", "/a?b=c", "--header", "X-Probe: yes")
        seen = http(ask, listener, *more)

        assert seen.code == 0
        request, _, head = heard[0].partition(b"\r\n")
        assert request == b"GET /a?b=c HTTP/1.1"
        lines = head.split(b"\r\n")
        assert lines.count(b"Host: www.example.org") == 1
        assert b"X-Probe: yes" in lines
        assert b"Connection: close" in lines

    def test_a_body_is_posted(self, ask: Ask, listener: Talk, heard: list[bytes]) -> None:
        http(ask, listener, "--body", r"a=b\r\n")
        assert heard[0].startswith(b"POST / HTTP/1.1\r\n")
        assert b"Content-Length: 5\r\n" in heard[0]

    def test_the_address_is_the_host_where_none_is_named(
        self, ask: Ask, listener: Talk, heard: list[bytes]
    ) -> None:
        """The Host header names the anycast address even while another address is asked."""
        with stream_server(listener) as port:
            seen = ask("http", "-H", "198.51.100.80", "-p", port, "--tries", 1)
        assert seen.text.startswith("HTTP OK - 198.51.100.80 healthy, withdrawn: 127.0.0.1: 200")
        assert f"Host: 198.51.100.80:{port}\r\n".encode() in heard[0]

    def test_a_secret_is_not_in_the_transcript(self, ask: Ask, listener: Talk) -> None:
        seen = http(ask, listener, "--header", "Authorization: Basic c2VjcmV0", "-vvv")
        assert "c2VjcmV0" not in seen.output
        assert "> (not shown)" in seen.output
        assert "< HTTP/1.1 200 OK\\r\\n" in seen.output

    def test_nothing_of_the_environment_is_used(
        self, ask: Ask, listener: Talk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1/")
        assert http(ask, listener).code == 0


class TestRedirects:
    @staticmethod
    def to(location: str, status: str = "302 Found") -> bytes:
        return f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

    def test_it_is_reported_and_not_followed(self, ask: Ask) -> None:
        seen = http(ask, saying(self.to("https://www.example.org/")))
        assert seen.code == 0
        assert "302 Found to 'https://www.example.org/' in " in seen.text

    def test_it_can_be_refused(self, ask: Ask) -> None:
        seen = http(ask, saying(self.to("/login")), "--status", "200")
        assert seen.code == 2, seen.text
        assert "302 Found to '/login': not the status" in seen.text

    @pytest.mark.parametrize("location", ["/home", "home?x=y", "//www.example.org:{port}/home"])
    def test_on_the_same_host_it_is_followed(self, ask: Ask, location: str) -> None:
        def talk(connection: socket.socket) -> None:
            request = connection.recv(65536)
            there = self.to(location.format(port=port))
            connection.sendall(there if b" / HTTP" in request else PAGE)

        with stream_server(talk) as port:
            options = ("-p", port, "--tries", 1, "--follow", "--host", f"www.example.org:{port}")
            seen = ask("http", "-H", "127.0.0.1", *options, "--string", "Welcome", "-v")
        assert seen.code == 0, seen.output
        assert "302, followed to /home" in seen.output

    def test_a_blank_and_utf_8_are_sent_on_as_clients_do(self, ask: Ask) -> None:
        """Curl and browsers write them in hexadecimal; IIS has blanks in a Location."""
        heard: list[bytes] = []

        def talk(connection: socket.socket) -> None:
            heard.append(connection.recv(65536).partition(b" HTTP/")[0])
            connection.sendall(PAGE if len(heard) > 1 else self.to("/my page/caf\u00e9?a=b c%20d"))

        seen = http(ask, talk, "--follow", "--string", "Welcome", "-t", 5)
        assert seen.code == 0, seen.text
        assert heard[1] == b"GET /my%20page/caf%C3%A9?a=b%20c%20d"

    @pytest.mark.parametrize(
        "location",
        ["http://www.example.com/", "https://www.example.org/", "//www.example.com/", "http://[x/",
         "http://www.example.org:99/", "ftp://www.example.org/"],
    )  # fmt: skip
    def test_elsewhere_it_is_not_followed(self, ask: Ask, location: str) -> None:
        """Behind such a redirect another host would answer, not the instance on this endpoint."""
        more = ("--follow", "--host", "www.example.org")
        seen = http(ask, saying(self.to(location)), *more)
        assert seen.code == 0, seen.text
        assert "302 Found to '" in seen.text

    def test_a_circle_ends(self, ask: Ask) -> None:
        seen = http(ask, saying(self.to("/")), "--follow", "-t", 5)
        assert seen.code == 2, seen.text
        assert "more than 5 redirects" in seen.text


class TestTls:
    def https(self, ask: Ask, directory: Path, *more: object, days: float = 90.5) -> Printed:
        context, trusted = certificate(directory, days)
        with stream_server(saying(PAGE), context) as port:
            options = ("-p", port, "--tries", 1, "--tls", "--ca-file", trusted)
            return ask("http", "-H", "127.0.0.1", *options, *more)

    @pytest.mark.parametrize("host", [(), ("--host", "www.example.org")])
    def test_a_certificate_for_the_name_or_the_address(
        self, ask: Ask, tmp_path: Path, host: tuple[str, ...]
    ) -> None:
        seen = self.https(ask, tmp_path, *host, "-v")
        assert seen.code == 0, seen.output
        assert "200 OK, 12 bytes in " in seen.text
        assert "TLSv1.3, " in seen.output

    def test_one_for_another_name(self, ask: Ask, tmp_path: Path) -> None:
        seen = self.https(ask, tmp_path, "--host", "www.example.com")
        assert seen.code == 2
        assert "TLS: Hostname mismatch, certificate is not valid for 'www.example.com'" in seen.text

    @pytest.mark.parametrize(
        "host",
        [".", "a..b", ".example.org", "x" * 64 + ".org", "a_" + "x" * 70 + ".org", "[::1", "a:b:c",
         "www.example.org:99999", "me@www.example.org", "a?b", "a#b", "[::1]x", ":443"],
    )  # fmt: skip
    def test_a_name_that_cannot_be_sent_is_a_usage_error(self, ask: Ask, host: str) -> None:
        """Nothing may be asked by it: the server would not be to blame."""
        with pytest.raises(CheckError, match="is not a host name"):
            ask("http", "-H", "127.0.0.1", "--tls", "--no-verify", "--host", host)

    def test_an_authority_below_the_root_can_be_trusted(self, ask: Ask, tmp_path: Path) -> None:
        """Whoever pins an authority has no root in the file; curl trusts it with --cacert."""
        context, _ = chain(tmp_path, 90, 90)
        middle = tmp_path / "middle.pem"
        middle.write_text(
            "-----BEGIN " + (tmp_path / "sent.pem").read_text().split("-----BEGIN ")[2]
        )
        with stream_server(saying(PAGE), context) as port:
            options = ("--tries", 1, "--tls", "--ca-file", middle, "--host", "www.example.org")
            seen = ask("http", "-H", "127.0.0.1", "-p", port, *options)
        assert seen.code == 0, seen.text

    def test_one_of_nobody(self, ask: Ask, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        _, other = certificate(tmp_path / "other")
        seen = self.https(ask, tmp_path, "--ca-file", other)
        assert seen.code == 2, seen.text
        assert "TLS: self-signed certificate" in seen.text

    @pytest.mark.parametrize(
        ("host", "code"),
        [
            # Clients take an underscore in a name (curl does); OpenSSL takes none there.
            ("my_host.example.org", 0),
            ("MY_host.example.org", 0),
            ("my_host.example.com", 2),
            ("a.my_host.example.org", 2),
            # A name is the same with a dot at its end (RFC 1034, 3.1).
            ("www.example.org.", 0),
            ("www.example.com.", 2),
        ],
    )
    def test_a_wildcard(self, ask: Ask, tmp_path: Path, host: str, code: int) -> None:
        context, trusted = certificate(tmp_path, name="*.example.org")
        with stream_server(saying(PAGE), context) as port:
            options = ("-p", port, "--tries", 1, "--tls", "--ca-file", trusted, "--host", host)
            seen = ask("http", "-H", "127.0.0.1", *options)
        assert seen.code == code, seen.text

    @pytest.mark.parametrize("verify", [True, False])
    @pytest.mark.parametrize(
        ("leaf", "authority", "says"),
        [
            (90, 5, "certificate of the authority middle expires in 5 d"),
            (5, 90, "certificate expires in 5 d"),
        ],
    )
    def test_what_expires_first_of_the_chain(
        self, ask: Ask, tmp_path: Path, leaf: float, authority: float, says: str, *, verify: bool
    ) -> None:
        """On that day every client refuses all endpoints together."""
        context, trusted = chain(tmp_path, leaf + 0.1, authority + 0.1)
        trust = ("--ca-file", trusted) if verify else ("--no-verify",)
        options = ("--tries", 1, "--tls", *trust, "--host", "www.example.org")
        with stream_server(saying(PAGE), context) as port:
            seen = ask("http", "-H", "127.0.0.1", "-p", port, *options, "--cert-warning", 30)
        assert seen.code == 1, seen.text
        assert says in seen.text

    def test_an_authority_whose_name_is_no_text(self, ask: Ask, tmp_path: Path) -> None:
        """Its type is BIT STRING, which no client looks at, and which cryptography refuses."""
        chain(tmp_path, 90.1, 5.1)
        sent = tmp_path / "sent.pem"
        leaf, middle, key = (f"-----BEGIN {x}" for x in sent.read_text().split("-----BEGIN ")[1:])
        odd = ssl.PEM_cert_to_DER_cert(middle).replace(b"\x0c\x06middle", b"\x03\x06\0iddle")
        sent.write_text(leaf + ssl.DER_cert_to_PEM_cert(odd) + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sent)
        options = ("--tries", 1, "--tls", "--no-verify", "--cert-warning", 30)
        with stream_server(saying(PAGE), context) as port:
            seen = ask("http", "-H", "127.0.0.1", "-p", port, *options)
        assert seen.code == 1, seen.text
        assert "of the authority whose name cannot be read expires in 5 d" in seen.text

    @pytest.mark.parametrize("shown", [True, False])
    def test_a_server_that_wants_to_know_its_client(
        self, ask: Ask, tmp_path: Path, *, shown: bool
    ) -> None:
        context, trusted = certificate(tmp_path)
        (tmp_path / "client").mkdir()
        certificate(tmp_path / "client")
        cert, key = tmp_path / "client/cert.pem", tmp_path / "client/key.pem"
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cert)
        # With TLS 1.3 the server refuses a client only after the client has asked.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        options = ("--tries", 1, "--tls", "--ca-file", trusted)
        own = ("--cert", cert, "--key", key) if shown else ()
        with stream_server(saying(PAGE), context) as port:
            seen = ask("http", "-H", "127.0.0.1", "-p", port, *options, *own)
        assert seen.code == (0 if shown else 2), seen.text

    @pytest.mark.parametrize("shown", [True, False])
    def test_a_server_that_wants_to_know_its_client_by_the_request(
        self, ask: Ask, tmp_path: Path, *, shown: bool
    ) -> None:
        """Apache asks so where SSLVerifyClient is set for a path (RFC 8446, 4.6.2)."""
        context, trusted = certificate(tmp_path)
        (tmp_path / "client").mkdir()
        certificate(tmp_path / "client")
        cert, key = tmp_path / "client/cert.pem", tmp_path / "client/key.pem"
        context.load_verify_locations(cert)
        context.verify_mode, context.post_handshake_auth = ssl.CERT_REQUIRED, True

        def talk(connection: socket.socket) -> None:
            connection.recv(65536)
            assert isinstance(connection, ssl.SSLSocket)
            try:
                connection.verify_client_post_handshake()
            except ssl.SSLError:  # the client does not take part
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 102 Wait\r\n\r\n")  # this asks the client
                connection.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    connection.recv(1)  # this reads the certificate
                connection.sendall(PAGE if connection.getpeercert() else b"")

        own = ("--cert", cert, "--key", key) if shown else ()
        with stream_server(talk, context) as port:
            options = ("--tries", 1, "--tls", "--ca-file", trusted, "-t", 2)
            seen = ask("http", "-H", "127.0.0.1", "-p", port, *options, *own)
        assert seen.code == (0 if shown else 2), seen.text

    @pytest.mark.parametrize("missing", ["/no/such.pem", "key.pem"])
    def test_a_certificate_that_cannot_be_shown_is_our_trouble(
        self, ask: Ask, tmp_path: Path, missing: str
    ) -> None:
        certificate(tmp_path)
        file = tmp_path / missing
        with pytest.raises(CheckError, match=f"cannot use --cert {file}: "):
            http(ask, saying(PAGE), "--tls", "--cert", file)

    @pytest.mark.parametrize(("minimum", "code"), [("1.2", 0), ("1.3", 2)])
    def test_the_lowest_version_of_tls(
        self, ask: Ask, tmp_path: Path, minimum: str, code: int
    ) -> None:
        context, trusted = certificate(tmp_path)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        options = ("--tries", 1, "--tls", "--ca-file", trusted, "--tls-minimum", minimum)
        with stream_server(saying(PAGE), context) as port:
            seen = ask("http", "-H", "127.0.0.1", "-p", port, *options)
        assert seen.code == code, seen.text

    def test_an_expired_one(self, ask: Ask, tmp_path: Path) -> None:
        """A service with an expired certificate fails every client that verifies it."""
        seen = self.https(ask, tmp_path, days=-2)
        assert seen.code == 2, seen.text
        assert "TLS: certificate has expired" in seen.text

    @pytest.mark.parametrize(
        ("more", "code", "says"),
        [
            (("--cert-warning", 30), 0, "200 OK, 12 bytes in "),
            (("--cert-warning", 91), 1, "200 OK, 12 bytes: certificate expires in 90 d in "),
            (("--cert-critical", 91), 2, "200 OK, 12 bytes: certificate expires in 90 d in "),
            (("--cert-warning", 99, "--cert-critical", 91), 2, "certificate expires in 90 d"),
        ],
    )
    def test_one_that_expires(
        self, ask: Ask, tmp_path: Path, more: tuple[object, ...], code: int, says: str
    ) -> None:
        seen = self.https(ask, tmp_path, *more)
        assert seen.code == code, seen.text
        assert says in seen.text
        assert float(seen.perfdata["cert_days"].split(";")[0]) == pytest.approx(90.5, abs=0.1)

    def test_without_verification_its_end_is_seen_nevertheless(
        self, ask: Ask, tmp_path: Path
    ) -> None:
        context, _ = certificate(tmp_path, -2.5)
        with stream_server(saying(PAGE), context) as port:
            options = ("-p", port, "--tries", 1, "--tls", "--no-verify", "--cert-warning", 1)
            seen = ask("http", "-H", "127.0.0.1", *options)
        assert seen.code == 1, seen.text
        assert "certificate expired 3 d ago" in seen.text

    def test_a_server_without_tls(self, ask: Ask) -> None:
        seen = http(ask, saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "--tls", "--no-verify")
        assert seen.code == 2, seen.text
        assert "TLS: wrong version number" in seen.text

    def test_a_server_that_closes_in_the_handshake(self, ask: Ask) -> None:
        seen = http(ask, saying(b""), "--tls", "--no-verify")
        assert seen.code == 2, seen.text
        assert "TLS: connection closed" in seen.text

    def test_a_server_that_hangs_in_the_handshake(self, ask: Ask) -> None:
        seen = http(ask, hanging(), "--tls", "--no-verify")
        assert seen.code == 2, seen.text
        assert "no TLS handshake within 0.3 s" in seen.text

    @pytest.mark.parametrize("file", ["/nonexistent", "/dev/null"])
    def test_authorities_that_cannot_be_read_are_our_trouble(self, ask: Ask, file: str) -> None:
        with pytest.raises(Exception, match=f"cannot use --ca-file {file}: "):
            http(ask, saying(PAGE), "--tls", "--ca-file", file)

    def test_the_port_is_443(self) -> None:
        run = CheckRun()
        words = ("http", "-H", "127.0.0.1", "--tls", "--no-verify", "--tries", "1", "-t", LIMIT)
        run_check([*words], run)
        assert "port 443 " in run.stage


@pytest.mark.parametrize(
    "wrong",
    [
        ("--status", "20"), ("--status", "300-200"), ("--status", ""), ("--url", "index.html"),
        ("--url", "/a b"), ("--url", "/\r\nX: y"), ("--header", "X"), ("--header", "X: a\r\nY: b"),
        ("--header", "Host: x"), ("--header", "X: \u00e9"), ("--method", "GET /"),
        ("--host", "a b"), ("--host", "a/b"), ("--regex", "("), ("--string", ""),
        ("--max-bytes", "0"), ("--ca-file", "/x"), ("--cert-warning", "9"),
        ("--tls", "--cert-warning", "soon"), ("--tls", "--key", "/x"), ("--cert", "/x"),
        ("--tls", "--tls-minimum", "1.1"), ("--tls", "--no-verify", "--ca-file", "/x"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error(ask: Ask, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match=f"(?i){wrong[-2].lstrip('-')}|tls"):
        ask("http", "-H", "127.0.0.1", *wrong)
