"""Send a datagram, and judge the datagram that comes back."""

import functools
import socket
import time
from typing import NamedTuple

import click

from . import payload
from .connection import Target
from .health import health_check
from .observation import Grade, Observation
from .options import HealthOptions
from .payload import Expectation, missing, quoted
from .proven import connect
from .sampling import Probe

_EXAMPLES = r"""
check_anycast udp -H 192.0.2.69 -p 7 --send ping --expect ping
check_anycast udp -H 192.0.2.69 -p 69 --send-hex 00016e6f006f6374657400 \
    --expect-hex 0005
check_anycast udp -H 2001:db8::69 -p 79 --send '\n' --expect-regex '^ok'
""".lstrip()


class _Talk(NamedTuple):
    send: bytes
    expected: tuple[Expectation, ...]


@health_check(port=0, examples=_EXAMPLES)
@click.option("--send", type=payload.text, metavar="TEXT",
              help=r"Datagram to send as text, with the escapes \r \n \t \0 \\ \xNN.")  # fmt: skip
@click.option("--send-hex", type=payload.hexadecimal, metavar="HEX",
              help="Datagram to send, in hexadecimal.")  # fmt: skip
@payload.expect_options("--expect", "--expect-regex", "the answer")
@click.option("--expect-hex", "hexes", type=payload.expected_hex, multiple=True, metavar="HEX",
              help="Bytes that must be in the answer, in hexadecimal; repeatable.")  # fmt: skip
def command(
    options: HealthOptions,
    *,
    send: bytes | None,
    send_hex: bytes | None,
    texts: tuple[Expectation, ...],
    regexes: tuple[Expectation, ...],
    hexes: tuple[Expectation, ...],
) -> Probe:
    """Send a datagram to the instance on this endpoint, at the anycast address.

    The first datagram that comes back is judged. Without --expect any datagram is right.
    """
    given = [data for data in (send, send_hex) if data is not None]
    if len(given) != 1:
        raise click.UsageError("give --send or --send-hex, and not both: silence proves nothing")
    talk = _Talk(given[0], (*texts, *regexes, *hexes))
    return functools.partial(_ask, talk)


def _ask(talk: _Talk, target: Target) -> Observation:
    began = time.monotonic()
    with connect(target, socket.SOCK_DGRAM) as connection:
        connection.send(talk.send)
        data = connection.receive()
    seconds = time.monotonic() - began
    answer = f"port {target.port}: {quoted(data)}"
    if lacks := missing(talk.expected, data, target.until):
        return Observation(Grade.WRONG, f"{answer} has no {quoted(lacks.text)}", seconds)
    return Observation(Grade.RIGHT, answer, seconds, (f"{len(data)} bytes",))
