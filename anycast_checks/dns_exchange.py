"""Put a DNS question to a server, as often as a client has to until it gets the answer."""

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from . import tls
from .connection import Connection, Target
from .dns_answer import is_truncated, parse, refuses_edns
from .dns_question import Question, make_query
from .dnspython import dns
from .errors import CheckError, NotTheAnswerError, PeerFailedError, PeerSilentError
from .proven import connect, opened
from .tls import Judgement, Tls


class Reply(NamedTuple):
    """An answer, and how it came.

    Attributes:
        query: the query that was answered.
        response: the answer.
        seconds: time from this query, or from the truncated one before it, to the answer.
        transport: words for the long output.
        wire: the answer as it came.
        judged: what is found about the TLS of the connection.
    """

    query: dns.message.QueryMessage
    response: dns.message.QueryMessage
    seconds: float
    transport: str
    wire: bytes
    judged: Judgement = Judgement()


def _framed(connection: Connection, query: bytes) -> bytes:
    """Take a query over a stream, each message behind its length (RFC 1035, 4.2.2)."""
    connection.send(len(query).to_bytes(2, "big") + query)
    return connection.receive_exactly(int.from_bytes(connection.receive_exactly(2), "big"))


class Way(NamedTuple):
    """How to get to a server.

    Attributes:
        protocol: the word for it; "UDP" is followed by TCP where the answer is truncated.
        tls: how to speak TLS over TCP; None for no TLS.
        make: makes a connection over TCP, which may speak TLS.
        carry: takes a query over such a connection, and returns the answer.
    """

    protocol: str = "UDP"
    tls: Tls | None = None
    make: Callable[[socket.socket, Target], Connection] = Connection
    carry: Callable[[Connection, bytes], bytes] = _framed


# Over UDP first.
USUAL = Way()
TCP = Way("TCP")


class Known(NamedTuple):
    """A query, and an answer to it that has been judged, as bytes without their ids."""

    query: bytes
    answer: bytes


class _EdnsRefusedError(Exception):
    """The server may refuse nothing but the EDNS of the query."""


def exchange(question: Question, target: Target, way: Way = USUAL) -> Reply:
    """Ask, and ask again where a truncated answer, or one that refuses EDNS, makes clients do so.

    Args:
        question: the question.
        target: the server.
        way: how to get there.

    Raises:
        MalformedError: the answer cannot be read.
        PeerFailedError, PeerSilentError, NotLocalError, CheckError: as `connect`.
    """
    try:
        return _ask(make_query(question), target, way)
    except _EdnsRefusedError:
        plain = _ask(make_query(question, edns=False), target, way)
        return plain._replace(transport=f"{plain.transport}, without EDNS, which was refused")


class Again:
    """A query over UDP in the words of before, which was sent, and whose answer is awaited.

    A stream asks the same for months. To make the query and to read and judge the answer each time
    is three quarters of the CPU that a sample costs.
    """

    def __init__(self, question: Question, known: Known, target: Target) -> None:
        """Ask; raises as `exchange`."""
        self._question, self._known, self._target = question, known, target
        self._number, self._began = os.urandom(2), time.monotonic()
        self._connection = opened(target, socket.SOCK_DGRAM)
        try:
            self._connection.send_at_once(self._number + known.query)
        except BaseException:
            self._connection.close()
            raise

    def fileno(self) -> int:
        """Return the number of the socket, for `select`."""
        return self._connection.fileno()

    def glance(self) -> float | None:
        """Return the seconds if the answer of before has come; None where it takes `wait` to tell.

        Raises: PeerFailedError, CheckError.
        """
        try:
            wire = self._connection.peek()
        except (PeerFailedError, CheckError):
            self._connection.close()
            raise
        seconds = None if wire is None else self._seconds_if_known(wire)
        if seconds is not None:
            self._connection.close()
        return seconds

    def wait(self) -> Reply | float:
        """Wait for the answer; return the seconds where it is that of before; raises as `exchange`.

        Another answer is read, and followed up, as `exchange` does.
        """
        try:
            with contextlib.closing(self._connection):
                seen = self._connection.receive_answer(self._read)
        except _EdnsRefusedError:
            return exchange(self._question, self._target)
        if seen is None:
            return _after_truncation(self._query(), self._target, self._began)
        return seen

    def _read(self, wire: bytes) -> Reply | float | None:
        """Read an answer; None for one that is truncated."""
        seconds = self._seconds_if_known(wire)
        if seconds is not None:
            return seconds
        query = self._query()
        return None if is_truncated(query, wire) else _read(query, wire, self._began, "UDP")

    def _seconds_if_known(self, wire: bytes) -> float | None:
        is_known = wire[:2] == self._number and wire[2:] == self._known.answer
        return time.monotonic() - self._began if is_known else None

    def _query(self) -> dns.message.QueryMessage:
        made = make_query(self._question)
        made.id = int.from_bytes(self._number, "big")
        return made


def _ask(query: dns.message.QueryMessage, target: Target, way: Way) -> Reply:
    began = time.monotonic()
    if way.protocol != USUAL.protocol:
        return _over_tcp(query, target, began, way)
    return _over_udp(query, target, began) or _after_truncation(query, target, began)


def _over_udp(query: dns.message.QueryMessage, target: Target, began: float) -> Reply | None:
    """Ask over UDP; return None where the answer is truncated."""

    def read(wire: bytes) -> Reply | None:
        if is_truncated(query, wire):
            return None
        return _read(query, wire, began, "UDP")

    with connect(target, socket.SOCK_DGRAM) as connection:
        connection.send(query.to_wire())
        return connection.receive_answer(read)


def _after_truncation(query: dns.message.QueryMessage, target: Target, began: float) -> Reply:
    try:
        return _over_tcp(query, target, began)
    except (PeerFailedError, PeerSilentError) as error:
        raise type(error)(f"truncated over UDP, then over TCP {error}") from error


def _over_tcp(
    query: dns.message.QueryMessage, target: Target, began: float, way: Way = TCP
) -> Reply:
    with connect(target, socket.SOCK_STREAM, way.make) as connection:
        judged = tls.judge(connection, way.tls)
        wire = way.carry(connection, query.to_wire())
    try:
        return _read(query, wire, began, way.protocol)._replace(judged=judged)
    except NotTheAnswerError as error:
        raise PeerFailedError(f"{error} over {way.protocol}") from error


def _read(query: dns.message.QueryMessage, wire: bytes, began: float, protocol: str) -> Reply:
    seconds = time.monotonic() - began
    if refuses_edns(query, wire):
        raise _EdnsRefusedError
    response = parse(query, wire)
    if response.rcode() == dns.rcode.BADVERS and query.edns >= 0:
        raise _EdnsRefusedError
    return Reply(query, response, seconds, f"{protocol}, {len(wire)} bytes", wire)
