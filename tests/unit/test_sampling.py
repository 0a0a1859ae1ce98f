"""A health check that was prepared once can ask any number of times, without a verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import click
import pytest

from anycast_checks import (
    check_dns,
    check_http,
    check_ntp,
    check_plugin,
    check_tcp,
    check_udp,
    health,
    sampling,
)
from anycast_checks.observation import Grade, Sample
from anycast_checks.run import CheckRun
from tests.support import dns_server
from tests.support.peer import certificate, datagram_server, saying, stream_server
from tests.unit import test_check_ntp

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CONNECT = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2]))).recv(9).decode())
except OSError as error:
    sys.exit(print(error) or 2)
"""

Server = Callable[[], AbstractContextManager[int]]


def prepare(check: health.HealthCheck, port: int, *more: str) -> sampling.Prepared:
    """Prepare a check of the service at this port of loopback."""
    words = more if "--" in more else ("-p", str(port), *more)
    return check.prepare(["-H", "127.0.0.1", "-t", "5", "--tries", "1", *words])


def take(check: sampling.Prepared) -> Sample:
    return sampling.take_sample(check, CheckRun())


@pytest.mark.parametrize(
    ("check", "server", "more", "says"),
    [
        (check_dns.command, lambda: dns_server.name_server(dns_server.answering("A 192.0.2.80")),
         ("--query", "www.example.org"), "www.example.org A: 192.0.2.80"),
        (check_http.command, lambda: stream_server(saying(PAGE)), (), "200 OK, 2 bytes"),
        (check_tcp.command, lambda: stream_server(saying(b"hi", first=True)),
         ("--expect", "hi"), ": 'hi'"),
        (check_udp.command, lambda: datagram_server(lambda _: [b"hi"]), ("--send", "x"), ": 'hi'"),
        (check_ntp.command, lambda: datagram_server(test_check_ntp.answering()), (), "stratum 2"),
        (check_plugin.command, lambda: stream_server(saying(b"hi", first=True)),
         ("--", sys.executable, "-c", CONNECT, "{address}", "{port}"), "hi"),
    ],
    ids=["dns", "http", "tcp", "udp", "ntp", "plugin"],
)  # fmt: skip
def test_what_is_prepared_once_asks_again_and_again(
    check: health.HealthCheck, server: Server, more: tuple[str, ...], says: str
) -> None:
    """Each sample sees the service as it is at that moment."""
    with server() as port:
        ready = prepare(check, port, *(word.replace("{port}", str(port)) for word in more))
        answered = [take(ready) for _ in range(3)]
    afterwards = take(ready)

    assert ready.options.address == "127.0.0.1"
    assert ready.options.port == (0 if check is check_plugin.command else port)
    for sample in answered:
        assert sample.address == "127.0.0.1"
        assert sample.present is True
        assert sample.observation
        assert sample.observation.grade is Grade.RIGHT, sample
        assert says in sample.observation.text
    assert afterwards.observation
    # What another plugin finds refused is only known to be wrong.
    refused = Grade.WRONG if check is check_plugin.command else Grade.REFUSED
    assert afterwards.observation.grade is refused, afterwards


def test_tls_is_prepared_once_and_spoken_each_time(tmp_path: Path) -> None:
    context, file = certificate(tmp_path)
    with stream_server(saying(PAGE), context) as port:
        ready = prepare(check_http.command, port, "--tls", "--ca-file", file, "--cert-warning", "9")
        samples = [take(ready) for _ in range(2)]

    for sample in samples:
        assert sample.observation
        assert sample.observation.grade is Grade.RIGHT, sample
        assert "TLSv1.3" in sample.observation.details[0]


def test_many_threads_may_ask_with_one_that_is_prepared() -> None:
    with dns_server.name_server(dns_server.answering("A 192.0.2.80")) as port:
        ready = prepare(check_dns.command, port, "--query", "www.example.org")
        with ThreadPoolExecutor(8) as threads:
            samples = list(threads.map(take, [ready] * 40))

    grades = [sample.observation and sample.observation.grade for sample in samples]
    assert grades == [Grade.RIGHT] * 40


def test_a_withdrawn_address_is_found_out_by_the_sample() -> None:
    """Then the sample comes from the instance, and the state of the run says so."""
    run = CheckRun()
    with datagram_server(lambda _: [b"hi"]) as port:
        ready = prepare(check_udp.command, port, "--send", "x", "-H", "198.51.100.53")
        sample = sampling.take_sample(ready, run)

    assert (sample.address, sample.present) == ("127.0.0.1", False)
    assert sample.observation
    assert sample.observation.grade is Grade.RIGHT
    assert run.perfdata == "time=U;;;0;5 present=0"
    assert run.stage == f"asking 127.0.0.1 port {port}"


def test_the_port_of_tls_is_the_default_with_tls() -> None:
    words = ["-H", "192.0.2.80", "--tls", "--no-verify"]

    assert check_http.command.prepare(words).options.port == 443
    assert check_http.command.prepare(words[:2]).options.port == 80
    assert check_http.command.prepare([*words, "-p", "8443"]).options.port == 8443


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--address"),
        (["-H", "192.0.2.80", "--tries", "9", "--deadline", "10"], "need a --deadline of"),
        (["-H", "192.0.2.80", "--cert-warning", "9"], "--cert-warning needs --tls"),
        (["-H", "192.0.2.80", "stray"], "stray"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    words: list[str], says: str
) -> None:
    with pytest.raises(click.UsageError) as caught:
        check_http.command.prepare(words)

    assert says in caught.value.format_message()
