"""Ask a web server, with or without TLS, and judge its answer."""

import functools
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import click

from . import __version__, http_request, payload, tls
from .address import is_ipv6
from .connection import Connection, Target
from .health import health_check
from .http_client import Request, Response, ask
from .observation import Grade, Metric, Observation
from .options import HealthOptions
from .payload import Expectation, missing, quoted
from .proven import connect
from .sampling import Probe
from .tls import Judgement, Tls

_HTTP, _HTTPS = 80, 443
_REDIRECTS = 5
_REDIRECT = (301, 302, 303, 307, 308)
_SAME_METHOD = (307, 308)
_METRICS = (Metric("size", unit="B", minimum=0), Metric(tls.CERT_DAYS))
_EXAMPLES = """\
check_anycast http -H 192.0.2.80 --host www.example.org --string Welcome
check_anycast http -H 192.0.2.80 --url /health --status 204
check_anycast http -H 192.0.2.80 --tls --host www.example.org
check_anycast http -H 2001:db8::80 --tls --cert-warning 14 --no-verify
"""


class _Question(NamedTuple):
    request: Request
    status: http_request.Ranges
    expected: tuple[Expectation, ...]
    limit: int
    follow: bool
    tls: Tls | None
    make: Callable[[socket.socket, Target], Connection]


@health_check(port=_HTTP, other_ports={"tls": _HTTPS}, examples=_EXAMPLES, metrics=_METRICS)
@click.option(
    "--host",
    type=http_request.host,
    metavar="NAME",
    help="Host name for the Host header and for TLS (default: the anycast address).",
)
@click.option(
    "--url",
    type=http_request.url,
    default="/",
    metavar="PATH",
    show_default=True,
    help="Path and query of the request.",
)
@click.option(
    "--method",
    type=http_request.method,
    metavar="METHOD",
    help="Method of the request (default: GET, or POST with --body).",
)
@click.option(
    "--header",
    "headers",
    type=http_request.header,
    multiple=True,
    metavar="HEADER",
    help="A header to send, 'Name: value'; repeatable. Put no secret here, since other users see it"
    " in the list of processes.",
)
@click.option(
    "--body",
    type=payload.text,
    metavar="TEXT",
    help=r"Body of the request, with the escapes \r \n \t \0 \\ \xNN.",
)
@click.option(
    "--status",
    type=http_request.ranges,
    default="200-399",
    metavar="LIST",
    show_default=True,
    help="Status codes that are right, such as 200,301-308.",
)
@payload.expect_options("--string", "--regex", "the body")
@click.option(
    "--max-bytes",
    type=click.IntRange(1, 100_000_000),
    default=1_000_000,
    metavar="N",
    show_default=True,
    help="Largest part of the body that is read and searched, in bytes.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Follow redirects that stay on this host name and port; judge the last answer.",
)
@tls.tls_options
def command(
    options: HealthOptions,
    *,
    host: str | None,
    url: str,
    method: str | None,
    headers: tuple[tuple[str, str], ...],
    body: bytes | None,
    status: http_request.Ranges,
    texts: tuple[Expectation, ...],
    regexes: tuple[Expectation, ...],
    max_bytes: int,
    follow: bool,
    **of_tls: Any,
) -> Probe:
    """Ask the web server on this endpoint, at the anycast address, and judge its answer.

    Without --follow a redirect is judged as any other answer. No proxy is used, and no variable of
    the environment is read.
    """  # fmt: skip
    spoken = tls.from_options(_name(host) if host else options.address, **of_tls)
    fixed = {
        "Host": host or _authority(options.address, options.port, _HTTPS if spoken else _HTTP),
        "User-Agent": f"check_anycast/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    chosen = {name.lower() for name, _ in headers}
    every = {name: text for name, text in fixed.items() if name.lower() not in chosen}
    request = Request(
        method or ("GET" if body is None else "POST"), url, every | dict(headers), body
    )
    question = _Question(
        request, status, (*texts, *regexes), max_bytes, follow, spoken, tls.maker(spoken)
    )
    return functools.partial(_ask, question)


def _name(host: str) -> str:
    """Return a host name without its port."""
    return urlsplit(f"//{host}").hostname or host


def _authority(address: str, port: int, default: int) -> str:
    shown = f"[{address}]" if is_ipv6(address) else address
    return shown if port == default else f"{shown}:{port}"


def _ask(question: _Question, target: Target) -> Observation:
    began = time.monotonic()
    request = question.request
    details: list[str] = []
    for _ in range(_REDIRECTS + 1):
        with connect(target, socket.SOCK_STREAM, question.make) as connection:
            judged = tls.judge(connection, question.tls)
            response = ask(connection, request, question.limit)
        follow = _following(question, request, response)
        if follow is None:
            seconds = time.monotonic() - began
            wrong = _wrong(question, response, target.until)
            seen = _judge(question, response, judged._replace(wrong=wrong or judged.wrong), seconds)
            return seen._replace(details=(*details, *seen.details))
        details.append(f"{response.status}, followed to {follow.url}")
        request = follow
    return Observation(Grade.WRONG, f"more than {_REDIRECTS} redirects", details=tuple(details))


def _following(question: _Question, request: Request, response: Response) -> Request | None:
    """Return the request to which a redirect leads, or None where it must not be followed."""
    location = response.headers.get("Location")
    if not question.follow or response.status not in _REDIRECT or not location:
        return None
    scheme = "https" if question.tls else "http"
    here = f"{scheme}://{request.headers['Host']}{request.url}"
    try:
        there = urlsplit(urljoin(here, location))
        same = _place(there) == _place(urlsplit(here))
    except ValueError:  # the location is no URL
        return None
    if not same:
        return None
    url = http_request.visible((there.path or "/") + (f"?{there.query}" if there.query else ""))
    if response.status in _SAME_METHOD or request.method == "HEAD":
        return request._replace(url=url)
    return request._replace(method="GET", url=url, body=None)


def _place(url: Any) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or (_HTTPS if url.scheme == "https" else _HTTP)


def _judge(
    question: _Question, response: Response, judged: Judgement, seconds: float
) -> Observation:
    answer = f"{response.status} {response.reason}".strip()
    size = (
        f"{len(response.body)} bytes" if response.complete else f"more than {question.limit} bytes"
    )
    text = f"{answer}, {size}"
    location = response.headers.get("Location")
    if response.status in _REDIRECT and location:
        text = f"{answer} to {quoted(location)}"
    if judged.wrong or judged.poor:
        text = f"{text}: {judged.wrong or judged.poor}"
    grade = Grade.WRONG if judged.wrong else Grade.POOR if judged.poor else Grade.RIGHT
    return Observation(
        grade,
        text,
        seconds,
        (*judged.details, *(f"{name}: {value}" for name, value in response.headers.items())),
        metrics=(Metric("size", len(response.body), "B", minimum=0), *judged.metrics),
    )


def _wrong(question: _Question, response: Response, until: float) -> str:
    if not any(response.status in one for one in question.status):
        return "not the status that is expected"
    if lacks := missing(question.expected, response.body, until):
        where = "body" if response.complete else f"first {question.limit} bytes"
        return f"no {quoted(lacks.text)} in the {where}"
    return ""
