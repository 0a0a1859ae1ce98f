"""Web servers, with and without TLS, beside check_http, check_curl and check_tcp."""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from tests.lab.beside import CRITICAL, OK, VIP, WARNING, Row
from tests.support.dns_server import name_server
from tests.support.peer import Talk, certificate, chain, hanging, saying, stream_server

PROGRAMS = ["check_http", "check_curl", "check_tcp"]
NAME = "www.example.org"
# It is removed when this process ends.
_HOME = tempfile.TemporaryDirectory()
_DIRECTORY = Path(_HOME.name)

Serve = Callable[[], AbstractContextManager[int]]
HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = b"Content-Length: 7\r\n"
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n"
WELCOME = b"\r\nWelcome"
CHUNKS = b"\r\n3\r\nWel\r\n4\r\ncome\r\n0\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
RIGHTLY = HEAD + LONG + WELCOME
TEXT = ("--string", "Welcome")


def open_after(*parts: bytes) -> Talk:
    """Say these parts to a request, and keep the connection open."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        hanging(*parts)(connection)

    return talk


def slowly(connection: socket.socket) -> None:
    connection.recv(65536)
    time.sleep(0.6)  # is the point
    connection.sendall(RIGHTLY)


def without_end(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HEAD + b"Content-Length: 99\r\n\r\n")
    while connection.send(b"."):
        time.sleep(0.1)  # is the point


def no_server() -> AbstractContextManager[int]:
    return name_server(None, None, VIP)


def of_http(
    says: str,
    right: int,
    talk: Talk | bytes | None,
    *more: str,
    theirs: tuple[str, ...] | None = ("-s", "Welcome"),
) -> Row:
    """Make a row; where check_http has no words for the question it is not asked."""
    answers = saying(talk) if isinstance(talk, bytes) else talk
    serve: Serve = partial(stream_server, answers, None, VIP) if answers else no_server
    words = ("http", "-p", "PORT", "-t", "1", *(more or TEXT))
    asked = ("-I", "VIP", "-p", "PORT", "-t", "2", *(theirs or ()))
    plugins = () if theirs is None else (("check_http", *asked), ("check_curl", *asked))
    return Row(says, right, serve, words, plugins)


@contextmanager
def secured(
    name: str, days: float, authority_days: float, change: Callable[[ssl.SSLContext], None]
) -> Iterator[int]:
    """Serve over TLS, with a certificate in a directory that has the name of the row."""
    home = _DIRECTORY / str(name)
    home.mkdir()
    if authority_days:
        context, _ = chain(home, days, authority_days)
    else:
        context, _ = certificate(home, days, name.split()[-1], VIP)
    change(context)
    with stream_server(saying(RIGHTLY), context, VIP) as port:
        yield port


def of_tls(
    says: str,
    right: int,
    *more: str,
    days: float = 90.5,
    authority_days: float = 0,
    of: str = NAME,
    host: str = NAME,
    change: Callable[[ssl.SSLContext], None] = lambda _: None,
    theirs: tuple[str, ...] = (),
    by: tuple[str, ...] = ("check_http", "check_curl"),
) -> Row:
    """Make a row about TLS; check_http verifies no certificate, so it is asked for the days."""
    directory = f"{says} {of}"
    file = _DIRECTORY / directory / ("root.pem" if authority_days else "cert.pem")
    trusted = () if "--no-verify" in more else ("--ca-file", str(file))
    words = ("http", "-p", "PORT", "-t", "1", "--tls", "--host", host, *trusted, *TEXT, *more)
    asked = ("-I", "VIP", "-p", "PORT", "-H", host, "-t", "2")
    verify = {"check_http": ("-S",), "check_curl": ("-S", "-D", "--ca-cert", str(file))}
    plugins = tuple((one, *asked, *(theirs or verify[one])) for one in by)
    serve = partial(secured, directory, days, authority_days, change)
    return Row(says, right, serve, words, plugins)


def only_1_2(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def of_tcp(says: str, right: int, talk: Talk, *more: str, theirs: tuple[str, ...]) -> Row:
    serve: Serve = partial(stream_server, talk, None, VIP)
    asked = ("check_tcp", "-H", "VIP", "-p", "PORT", "-M", "crit", "-t", "2", *theirs)
    return Row(says, right, serve, ("tcp", "-p", "PORT", "-t", "1", *more), (asked,))


GET = (r"GET / HTTP/1.0\r\n\r\n",)
FIELDS = b"".join(b"X-Debug-%d: value\r\n" % number for number in range(150))
OOPS = b"HTTP/1.1 500 Oops\r\n" + LONG + WELCOME
FIRST = "TLS: the right page"
# The certificate of that row.
OTHER = str(_DIRECTORY / f"{FIRST} {NAME}" / "cert.pem")
ROWS = [
    of_http("the right page", OK, RIGHTLY),
    of_http("in chunks", OK, HEAD + IN_CHUNKS + CHUNKS),
    of_http("in chunks, with extensions", OK,
            HEAD + IN_CHUNKS + b"\r\n7 ;a=b\r\nWelcome\r\n0\r\n\r\n"),
    of_http("in chunks, line feeds alone", OK, HEAD + IN_CHUNKS + b"\r\n7\nWelcome\n0\n\n"),
    of_http("until the connection is closed", OK, b"HTTP/1.0 200 OK\r\nServer: x\r\n" + WELCOME),
    of_http("no server: refused", CRITICAL, None),
    of_http("accepts, and is silent", CRITICAL, hanging()),
    of_http("closes at once", CRITICAL, b""),
    of_http("another page", CRITICAL, HEAD + b"Content-Length: 5\r\n\r\nSorry"),
    of_http("500", CRITICAL, OOPS),
    of_http("503 with the right page", CRITICAL, b"HTTP/1.1 503 Busy\r\n" + LONG + WELCOME),
    of_http("404", CRITICAL, b"HTTP/1.1 404 No\r\n" + LONG + WELCOME, "--status", "200",
            theirs=("-e", "200")),
    of_http("404, which is expected", OK, b"HTTP/1.1 404 No\r\n" + LONG + WELCOME,
            "--status", "404", theirs=("-e", "404")),
    of_http("a redirect", OK, b"HTTP/1.1 302 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "--status", "302", theirs=("-e", "302")),
    of_http("204", OK, b"HTTP/1.1 204 Nothing\r\n\r\n", "--status", "204", theirs=("-e", "204")),
    of_http("204 in chunks, kept open", OK,
            open_after(b"HTTP/1.1 204 Nothing\r\n" + IN_CHUNKS + b"\r\n"),
            "--status", "204", theirs=("-e", "204")),
    of_http("304 in chunks, kept open", OK,
            open_after(b"HTTP/1.1 304 Known\r\n" + IN_CHUNKS + b"\r\n"),
            "--status", "304", theirs=("-e", "304")),
    of_http("kept open behind the page", OK, open_after(RIGHTLY)),
    of_http("kept open behind the last chunk", OK, open_after(HEAD + IN_CHUNKS + CHUNKS)),
    of_http("Early Hints before it", OK, HINTS + RIGHTLY),
    of_http("102 twice before it", OK, b"HTTP/1.1 102 Processing\r\n\r\n" * 2 + RIGHTLY),
    of_http("Early Hints before a 500", CRITICAL, HINTS + OOPS),
    of_http("Early Hints alone", CRITICAL, HINTS),
    of_http("150 fields", OK, HEAD + FIELDS + LONG + WELCOME),
    of_http("a field of 70 kB", OK, HEAD + b"X-Policy: " + b"a" * 70000 + b"\r\n" + LONG + WELCOME),
    of_http("a blank before a colon", OK, HEAD + b"X-By : y\r\n" + LONG + WELCOME),
    of_http("a line that is no field", OK, open_after(HEAD + b"preload\r\n" + LONG + WELCOME)),
    of_http("a folded field", OK, open_after(HEAD + b"X: a\r\n b\r\n" + LONG + WELCOME)),
    of_http("the length twice", OK, open_after(HEAD + LONG * 2 + WELCOME)),
    of_http("Content-Length: 7, 7", OK, open_after(HEAD + b"Content-Length: 7, 7\r\n" + WELCOME)),
    of_http("two different lengths", CRITICAL, HEAD + LONG + b"Content-Length: 9\r\n" + WELCOME),
    of_http("a length, and chunks", OK, HEAD + LONG + IN_CHUNKS + CHUNKS),
    of_http("line feeds alone", OK, b"HTTP/1.1 200 OK\nContent-Length: 7\n\nWelcome"),
    of_http("a status without words", OK, b"HTTP/1.1 200\r\n" + LONG + WELCOME),
    of_http("cut within the page", CRITICAL, HEAD + b"Content-Length: 99\r\n" + WELCOME),
    of_http("cut within a chunk", CRITICAL, HEAD + IN_CHUNKS + b"\r\n20\r\nWelcome"),
    of_http("no last chunk", CRITICAL, HEAD + IN_CHUNKS + b"\r\n7\r\nWelcome\r\n"),
    of_http("a chunk of the size zz", CRITICAL, HEAD + IN_CHUNKS + b"\r\nzz\r\nWelcome"),
    of_http("cut within the head", CRITICAL, HEAD + b"Content-Le"),
    of_http("a head, and silence", CRITICAL, open_after(HEAD + LONG + b"\r\n")),
    of_http("a page without an end", CRITICAL, without_end),
    of_http("SSH on that port", CRITICAL, b"SSH-2.0-OpenSSH_9.2\r\n"),
    of_http("noise", CRITICAL, b"\0\xff" * 99),
    of_http("an answer after 0.6 s, 0.3 wanted", CRITICAL, slowly, *TEXT, "-c", "0.3",
            theirs=("-s", "Welcome", "-c", "0.3")),
    of_tls(FIRST, OK),
    of_tls("TLS: expires in 10 days, 30 wanted", WARNING, "--cert-warning", "30", days=10.5,
           theirs=("-S", "-C", "30")),
    of_tls("TLS: expires in 90 days, 30 wanted", OK, "--cert-warning", "30",
           theirs=("-S", "-C", "30")),
    of_tls("TLS: the authority expires first", WARNING, "--cert-warning", "30", authority_days=10.5,
           theirs=("-S", "-C", "30")),
    of_tls("TLS: expired", CRITICAL, days=-1, theirs=("-S", "-C", "1")),
    of_tls("TLS: expired, not verified", OK, "--no-verify", days=-1, theirs=("-S",)),
    of_tls("TLS: for another name", CRITICAL, host="other.example.org", by=("check_curl",)),
    of_tls("TLS: by an unknown authority", CRITICAL, "--ca-file", OTHER,
           theirs=("-S", "-D", "--ca-cert", OTHER), by=("check_curl",)),
    of_tls("TLS: a wildcard, and an underscore", OK, of="*.example.org", host="my_web.example.org",
           by=("check_curl",)),
    of_tls("TLS: a dot behind the name", OK, host="www.example.org."),
    of_tls("TLS: 1.2, where 1.3 is wanted", CRITICAL, "--tls-minimum", "1.3", change=only_1_2,
           theirs=("-S1.3",)),
    Row("TLS: a server without TLS", CRITICAL, partial(stream_server, saying(RIGHTLY), None, VIP),
        ("http", "-p", "PORT", "-t", "1", "--tls", "--no-verify"),
        tuple((one, "-I", "VIP", "-p", "PORT", "-S", "-t", "2") for one in PROGRAMS[:2])),
    Row("TLS: accepts, and is silent", CRITICAL, partial(stream_server, hanging(), None, VIP),
        ("http", "-p", "PORT", "-t", "1", "--tls", "--no-verify"),
        tuple((one, "-I", "VIP", "-p", "PORT", "-S", "-t", "2") for one in PROGRAMS[:2])),
    of_tcp("TCP: the right answer to a line", OK, saying(RIGHTLY), "--send", *GET,
           "--expect", "200 OK", theirs=("-E", "-s", *GET, "-e", "HTTP/1.1 200 OK")),
    of_tcp("TCP: another answer to it", CRITICAL, saying(b"HTTP/1.1 500 Oops\r\n\r\n"), "--send",
           *GET, "--expect", "200 OK", theirs=("-E", "-s", *GET, "-e", "HTTP/1.1 200 OK")),
    of_tcp("TCP: the answer in two parts", OK, saying(b"HTTP/1.1 2", b"00 OK\r\n\r\n"), "--send",
           *GET, "--expect", "200 OK", theirs=("-E", "-s", *GET, "-e", "HTTP/1.1 200 OK")),
    of_tcp("TCP: silence behind the line", CRITICAL, hanging(), "--send", *GET,
           "--expect", "200 OK", theirs=("-E", "-s", *GET, "-e", "HTTP/1.1 200 OK")),
]  # fmt: skip
