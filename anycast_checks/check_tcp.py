"""Connect over TCP, send a text, and judge the answer."""

import contextlib
import functools
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from . import payload, tls
from .connection import Connection, Target
from .errors import PeerFailedError, PeerSilentError
from .health import health_check
from .observation import Grade, Metric, Observation
from .options import HealthOptions
from .payload import Expectation, missing, quoted
from .proven import connect
from .sampling import Probe
from .starttls import PRELUDES
from .tls import Tls

_LIMIT = 65536  # bytes of an answer that are read and searched
_REFUSED = {"critical": Grade.WRONG, "warning": Grade.POOR, "ok": Grade.RIGHT}
_EXAMPLES = r"""
check_anycast tcp -H 192.0.2.25 -p 25 --expect '220 ' --quit 'QUIT\r\n'
check_anycast tcp -H 192.0.2.25 -p 7 --send 'ping\n' --expect-regex '^ping$'
check_anycast tcp -H 192.0.2.25 -p 25 --starttls smtp --host mx.example.org
check_anycast tcp -H 192.0.2.25 -p 993 --tls --host mail.example.org
check_anycast tcp -H 2001:db8::25 -p 22 --expect SSH-2.0
""".lstrip()


class _Talk(NamedTuple):
    """What to send, and what must be in the answer."""

    send: bytes
    expected: tuple[Expectation, ...]
    quit: bytes
    refused: Grade
    tls: Tls | None
    make: Callable[[socket.socket, Target], Connection]


@health_check(port=0, examples=_EXAMPLES, metrics=(Metric(tls.CERT_DAYS),))
@click.option("--send", type=payload.text, default="", metavar="TEXT",
              help=r"Text to send first, with the escapes \r \n \t \0 \\ \xNN.")  # fmt: skip
@payload.expect_options("--expect", "--expect-regex", "the answer")
@click.option("--quit", "goodbye", type=payload.text, default="", metavar="TEXT",
              help="Text to send at the end, with the same escapes.")  # fmt: skip
@click.option("--refuse-state", type=click.Choice(list(_REFUSED)), default="critical",
              metavar="STATE", show_default=True,
              help="State of a refused connection: critical, warning or ok.")  # fmt: skip
@tls.tls_options
@click.option("--starttls", type=click.Choice(list(PRELUDES)),
              help="Ask for TLS in the words of that protocol first.")  # fmt: skip
@click.option("--host", metavar="NAME",
              help="Name for TLS, which is sent as SNI and must be in the certificate (default: the"
              " anycast address).")  # fmt: skip
def command(
    options: HealthOptions,
    *,
    send: bytes,
    texts: tuple[Expectation, ...],
    regexes: tuple[Expectation, ...],
    goodbye: bytes,
    refuse_state: str,
    starttls: str | None,
    host: str | None,
    **of_tls: Any,
) -> Probe:
    """Connect to the instance on this endpoint, at the anycast address, and judge what it says.

    Without --expect a connection is enough. With --expect the answer is read until all that is
    expected has been found in it.
    """
    of_tls["tls"] = of_tls["tls"] or starttls is not None
    if host and not of_tls["tls"]:
        raise click.UsageError("--host needs --tls")
    spoken = tls.from_options(host or options.address, **of_tls)
    make = tls.maker(spoken, PRELUDES[starttls] if starttls else None)
    talk = _Talk(send, (*texts, *regexes), goodbye, _REFUSED[refuse_state], spoken, make)
    return functools.partial(_ask, talk)


def _ask(talk: _Talk, target: Target) -> Observation:
    began = time.monotonic()
    try:
        with connect(target, socket.SOCK_STREAM, talk.make) as connection:
            judged = tls.judge(connection, talk.tls)
            data = _converse(talk, connection, target.until)
            seconds = time.monotonic() - began
            if talk.quit:
                with contextlib.suppress(PeerFailedError, PeerSilentError):
                    connection.send(talk.quit)
    except PeerFailedError as error:
        if talk.refused is Grade.WRONG or not isinstance(error.__cause__, ConnectionRefusedError):
            raise
        return Observation(talk.refused, f"port {target.port}: {error}")
    text = f"port {target.port}: {quoted(data) if data else 'connected'}"
    if trouble := judged.wrong or judged.poor:
        text = f"{trouble}, {text}"
    grade = Grade.WRONG if judged.wrong else Grade.POOR if judged.poor else Grade.RIGHT
    return Observation(grade, text, seconds, judged.details, metrics=judged.metrics)


def _converse(talk: _Talk, connection: Connection, until: float) -> bytes:
    """Send the text, and return the answer as soon as all that is expected is in it."""
    if talk.send:
        connection.send(talk.send)
    data = b""
    while lacks := missing(talk.expected, data, until):
        what = f"no {quoted(lacks.text)} in the answer {quoted(data)}"
        if len(data) >= _LIMIT:
            raise PeerFailedError(f"{what} of more than {_LIMIT} bytes")
        try:
            more = connection.receive(_LIMIT - len(data))
        except PeerSilentError as error:
            if data:
                raise PeerFailedError(f"{what}, and no more of it in time") from error
            raise
        if not more:
            raise PeerFailedError(what if data else "connection closed without an answer")
        data += more
    return data
