"""Ask a time server, and judge how good its time is."""

import contextlib
import enum
import functools
import os
import select
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

import click

from .address import is_ipv6
from .connection import Connection, Target
from .errors import CheckError, NotLocalError, NotTheAnswerError, PeerFailedError, PeerSilentError
from .health import health_check
from .ntp_packet import RATE, Answer, make_query, parse
from .observation import Grade, Metric, Observation
from .options import IPV4_LOOPBACK, IPV6_LOOPBACK, HealthOptions
from .proven import connect
from .sampling import Probe
from .threshold import threshold
from .verdict import is_outside

_METRICS = (
    Metric("offset", unit="s"),
    Metric("stratum"),
    Metric("root_dispersion", unit="s"),
)
_EXAMPLES = """\
check_anycast ntp -H 192.0.2.123 --stratum-critical 4
check_anycast ntp -H 192.0.2.123 --client --offset-critical 0.5
check_anycast ntp -H 2001:db8::123 -w 0.1
"""


class _Limits(NamedTuple):
    """Ranges as they were typed; None for no threshold."""

    offset_warning: str | None
    offset_critical: str | None
    stratum_critical: str | None


class _Client(enum.Enum):
    """From which client a question seems to come, and what an answer to it shows."""

    SELF = "this check"
    ANOTHER = "another client of the same address"
    OF_IPV4 = "a client of the same server over IPv4"


class _Found(NamedTuple):
    """An answer, the seconds that it took, and whom it went to."""

    answer: Answer
    seconds: float
    client: _Client


@health_check(port=123, examples=_EXAMPLES, metrics=_METRICS)
@click.option(
    "--offset-warning",
    type=threshold,
    metavar="RANGE",
    help="WARNING where the offset in seconds, without its sign, is outside of this range. It is of"
    " little use without --client: on the endpoint, server and check share one clock.",
)
@click.option(
    "--offset-critical",
    type=threshold,
    metavar="RANGE",
    help="A try fails where the offset in seconds, without its sign, is outside of this range.",
)
@click.option(
    "--stratum-critical",
    type=threshold,
    metavar="RANGE",
    help="A try fails where the stratum is outside of this range.",
)
def command(
    options: HealthOptions,
    *,
    offset_warning: str | None,
    offset_critical: str | None,
    stratum_critical: str | None,
) -> Probe:
    """Ask the time server on this endpoint, at the anycast address, as an SNTP client does.

    A server that is not synchronised fails, and so does a server whose stratum or offset is out of
    range. A server may limit how often a client asks. So where no answer has come in half of the
    time-out, the check asks once more as another client, from a new address of 127.0.0.0/8. Over
    IPv6 there is no such address: a server that answers over IPv4 alone is UNKNOWN, and so is one
    that refuses to answer, by a kiss code.
    """
    limits = _Limits(offset_warning, offset_critical, stratum_critical)
    return functools.partial(_ask, limits)


class _Question:
    """A query that was sent.

    Attributes:
        connection: the way on which it was sent.
        client: from whom it seems to come.
        ignored: what came back last that was no answer to it.
    """

    def __init__(self, connection: Connection, client: _Client = _Client.SELF) -> None:
        self.connection = connection
        self.client = client
        self.ignored = ""
        query, self._stamp = make_query()
        self._began, self._sent = time.monotonic(), time.time()
        connection.send(query)

    def receive(self) -> _Found | None:
        """Read the datagram that is there; return None where it is not the answer."""
        data = self.connection.receive()
        seconds = time.monotonic() - self._began
        try:
            answer = parse(data, self._stamp, self._sent, self._sent + seconds)
        except NotTheAnswerError as error:
            self.ignored = str(error)
            return None
        return _Found(answer, seconds, self.client)


def _ask(limits: _Limits, target: Target) -> Observation:
    with connect(target, socket.SOCK_DGRAM) as connection:
        question = _Question(connection)
        halfway = target.until - target.timeout / 2 if target.proven else target.until
        found = _await((question,), halfway)
        if target.proven and (found is None or found.answer.kiss == RATE):
            found = _await_as_another(question, target) or found
    if found is None:
        silence = f"no answer within {target.timeout:g} s"
        if question.ignored:
            raise PeerFailedError(f"{silence}, ignored: {question.ignored}")
        raise PeerSilentError(silence)
    return _judge(limits, found)


def _await_as_another(question: _Question, target: Target) -> _Found | None:
    """Ask as another client too, and wait for an answer to any question."""
    others = {_Client.ANOTHER: target}
    if is_ipv6(target.address):
        # Its one loopback address is a client that the server may know too well by now.
        others[_Client.OF_IPV4] = target._replace(address=IPV4_LOOPBACK)
    questions = [question]
    with contextlib.ExitStack() as stack:
        for client, asked in others.items():
            # Where this cannot be done, the server is as silent as it was.
            with contextlib.suppress(CheckError, NotLocalError, PeerFailedError):
                way = connect(asked, socket.SOCK_DGRAM, source=_another_client(asked.address))
                questions.append(_Question(stack.enter_context(way), client))
        return _await(questions, target.until)


def _await(questions: Sequence[_Question], until: float) -> _Found | None:
    """Wait for an answer to any of the questions, at the anycast address if there is one."""
    hint = None
    poll = select.poll()
    asked = {question.connection.fileno(): question for question in questions}
    for number in asked:
        poll.register(number, select.POLLIN)
    while True:
        ready = poll.poll(max(0.0, until - time.monotonic()) * 1000)
        if not ready:
            return hint
        for number, _ in ready:
            question = asked[number]
            try:
                found = question.receive()
            except PeerFailedError:
                if question.client is _Client.SELF:
                    raise
                poll.unregister(number)
                continue
            if found is None or (found.answer.kiss == RATE and len(questions) > 1):
                continue  # another client may be answered
            if question.client is not _Client.OF_IPV4:
                return found
            hint = None if found.answer.trouble else found


def _another_client(address: str) -> str:
    """Return an address of this host from which the server has not been asked before."""
    if is_ipv6(address):
        return IPV6_LOOPBACK
    return "127." + ".".join(str(1 + byte % 254) for byte in os.urandom(3))


def _judge(limits: _Limits, found: _Found) -> Observation:
    answer, seconds = found.answer, found.seconds
    if answer.refusal:
        return Observation(Grade.UNCLEAR, answer.refusal, seconds, metrics=_metrics(limits, answer))
    if found.client is _Client.OF_IPV4:
        text = "silent, but answers over IPv4: it may limit how often this check asks"
        return Observation(Grade.UNCLEAR, text)
    grade, offset = Grade.RIGHT, answer.offset or 0.0
    text = f"stratum {answer.stratum}, offset {offset * 1000:+.3f} ms"
    if answer.trouble:
        grade, text = Grade.WRONG, answer.trouble
    elif is_outside(limits.stratum_critical, answer.stratum):
        grade = Grade.WRONG
        text = f"stratum {answer.stratum} is outside of {limits.stratum_critical}"
    elif is_outside(limits.offset_critical, abs(offset)):
        grade = Grade.WRONG
        text = f"offset {offset:+.3f} s is outside of {limits.offset_critical}"
    elif is_outside(limits.offset_warning, abs(offset)):
        grade = Grade.POOR
        text = f"offset {offset:+.3f} s is outside of {limits.offset_warning}"
    if found.client is _Client.ANOTHER:
        text += ", limits how often this check may ask"
    details = (
        f"reference {answer.reference or 'none'}, leap indicator {answer.leap}",
        f"root delay {answer.root_delay:.6f} s, dispersion {answer.root_dispersion:.6f} s",
    )
    return Observation(grade, text, seconds, details, metrics=_metrics(limits, answer))


def _metrics(limits: _Limits, answer: Answer) -> tuple[Metric, ...]:
    offset, stratum, dispersion = _METRICS
    known = None if answer.trouble else answer.offset
    thresholds = limits.offset_warning, limits.offset_critical
    return (
        Metric(offset.label, known, "s", *thresholds),
        Metric(stratum.label, answer.stratum, "", None, limits.stratum_critical),
        Metric(dispersion.label, answer.root_dispersion, "s"),
    )
