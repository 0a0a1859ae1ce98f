"""Ask a name server and judge its answer."""

import functools
import socket
import time
from typing import NamedTuple

import click

from .address import Target, connect
from .dns_answer import (
    MalformedError,
    Question,
    is_truncated,
    judge,
    make_query,
    parse,
    parse_value,
)
from .dnspython import dns
from .errors import NotTheAnswerError, PeerFailedError, PeerSilentError
from .health import health_check
from .observation import Grade, Observation
from .options import HealthOptions
from .sampling import Probe

_FLAGS = {dns.flags.to_text(flag).lower(): flag for flag in dns.flags.Flag if flag != dns.flags.QR}
_EXAMPLES = """\
check_anycast dns -H 192.0.2.53 --query www.example.org --expect 192.0.2.80
check_anycast dns -H 192.0.2.53 --query example.org --require-flags aa
check_anycast dns -H 192.0.2.53 --query x.example --expect-rcode NXDOMAIN
check_anycast dns -H 2001:db8::53 --query www.example.org --type AAAA --tcp
"""


def _name(value: str) -> dns.name.Name:
    try:
        return dns.name.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a domain name: {error}") from error


def _type(value: str) -> dns.rdatatype.RdataType:
    try:
        rdtype = dns.rdatatype.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a record type") from error
    if dns.rdatatype.is_metatype(rdtype):
        raise click.BadParameter(f"{value!r} is not the type of a record")
    return rdtype


def _rcode(value: str) -> dns.rcode.Rcode:
    try:
        return dns.rcode.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a response code") from error


def _flags(value: str) -> dns.flags.Flag:
    flags = dns.flags.Flag(0)
    for name in filter(None, value.lower().replace(" ", "").split(",")):
        if name not in _FLAGS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(_FLAGS)}")
        flags |= _FLAGS[name]
    return flags


@health_check(port=53, examples=_EXAMPLES)
@click.option("--query", type=_name, required=True, metavar="NAME", help="The name to ask for.")
@click.option(
    "--type",
    "rdtype",
    type=_type,
    default="A",
    metavar="TYPE",
    show_default=True,
    help="The type of record to ask for.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="VALUE",
    help="A value that must be among the answers; repeatable. Without it any answer is right.",
)
@click.option("--expect-only", is_flag=True, help="Accept no answers but the expected ones.")
@click.option(
    "--expect-rcode",
    type=_rcode,
    default="NOERROR",
    metavar="RCODE",
    show_default=True,
    help="The response code that is right.",
)
@click.option(
    "--require-flags",
    type=_flags,
    default="",
    metavar="FLAGS",
    help="Flags that the answer must have, such as aa,ad,ra.",
)
@click.option(
    "--forbid-flags",
    type=_flags,
    default="",
    metavar="FLAGS",
    help="Flags that the answer must not have.",
)
@click.option("--recurse/--no-recurse", default=True, show_default=True, help="Ask for recursion.")
@click.option("--tcp", is_flag=True, help="Ask over TCP only, not over UDP first.")
def command(
    options: HealthOptions,
    *,
    query: dns.name.Name,
    rdtype: dns.rdatatype.RdataType,
    expect: tuple[str, ...],
    expect_only: bool,
    expect_rcode: dns.rcode.Rcode,
    require_flags: dns.flags.Flag,
    forbid_flags: dns.flags.Flag,
    recurse: bool,
    tcp: bool,
) -> Probe:
    """Ask the name server on this endpoint, at the anycast address, and judge its answer.

    The check asks over UDP, and again over TCP if the answer does not fit into a datagram. Values
    are compared as DNS data, so their spelling does not matter.
    """  # fmt: skip
    if expect and expect_rcode != dns.rcode.NOERROR:
        raise click.UsageError("--expect fits --expect-rcode NOERROR only: no others have answers")
    if expect_only and not expect:
        raise click.UsageError("--expect-only needs an --expect")
    if require_flags & forbid_flags:
        raise click.UsageError("--require-flags and --forbid-flags name the same flag")
    try:
        expected = tuple((value, parse_value(rdtype, value)) for value in expect)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--expect'") from error
    question = Question(
        name=query,
        rdtype=rdtype,
        recurse=recurse,
        rcode=expect_rcode,
        expected=expected,
        only=expect_only,
        required=require_flags,
        forbidden=forbid_flags,
    )
    return functools.partial(_ask, question, tcp=tcp, transcript=options.transcript)


class _Reply(NamedTuple):
    response: dns.message.QueryMessage
    seconds: float
    transport: str


def _ask(question: Question, target: Target, *, tcp: bool, transcript: bool) -> Observation:
    query = make_query(question)
    began = time.monotonic()
    try:
        if tcp:
            reply = _over_tcp(query, target, began)
        else:
            reply = _over_udp(query, target, began) or _after_truncation(query, target, began)
    except MalformedError as error:
        seconds = time.monotonic() - began
        return Observation(Grade.WRONG, f"{question}: {error}", seconds, (error.wire.hex(),))
    seen = judge(question, reply.response, reply.seconds)
    both = f"{query}\n{reply.response}".splitlines() if transcript else ()
    return seen._replace(details=(reply.transport, *seen.details), transcript=tuple(both))


def _over_udp(query: dns.message.Message, target: Target, began: float) -> _Reply | None:
    """Ask over UDP; return None where the answer is truncated."""

    def read(wire: bytes) -> _Reply | None:
        seconds = time.monotonic() - began
        if is_truncated(query, wire):
            return None
        return _Reply(parse(query, wire), seconds, f"UDP, {len(wire)} bytes")

    with connect(target, socket.SOCK_DGRAM) as connection:
        connection.send(query.to_wire())
        return connection.receive_answer(read)


def _after_truncation(query: dns.message.Message, target: Target, began: float) -> _Reply:
    try:
        return _over_tcp(query, target, began)
    except (PeerFailedError, PeerSilentError) as error:
        raise type(error)(f"truncated over UDP, then over TCP {error}") from error


def _over_tcp(query: dns.message.Message, target: Target, began: float) -> _Reply:
    with connect(target, socket.SOCK_STREAM) as connection:
        wire = query.to_wire()
        connection.send(len(wire).to_bytes(2, "big") + wire)
        wire = connection.receive_exactly(int.from_bytes(connection.receive_exactly(2), "big"))
    seconds = time.monotonic() - began
    try:
        return _Reply(parse(query, wire), seconds, f"TCP, {len(wire)} bytes")
    except NotTheAnswerError as error:
        raise PeerFailedError(f"{error} over TCP") from error
