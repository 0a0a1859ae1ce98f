"""Ask a time server, and judge how good its time is."""

import contextlib
import functools
import os
import select
import socket
import time
from typing import NamedTuple

import click

from .address import Connection, Target, connect, is_ipv6
from .errors import CheckError, NotTheAnswerError, PeerFailedError, PeerSilentError
from .health import health_check
from .ntp_packet import RATE, Answer, make_query, parse
from .observation import Grade, Metric, Observation
from .options import HealthOptions
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


class _Found(NamedTuple):
    """An answer, the seconds that it took, and whether it went to the other client."""

    answer: Answer
    seconds: float
    by_another: bool


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
    time-out, the check asks once more as another client, from a new address of 127.0.0.0/8. A
    server that refuses to answer, by a kiss code, is UNKNOWN.
    """
    limits = _Limits(offset_warning, offset_critical, stratum_critical)
    return functools.partial(_ask, limits)


class _Question:
    """A query that was sent.

    Attributes:
        connection: the way on which it was sent.
        by_another: whether it seems to come from another client than this check.
        ignored: what came back last that was no answer to it.
    """

    def __init__(self, connection: Connection, *, by_another: bool = False) -> None:
        self.connection = connection
        self.by_another = by_another
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
        return _Found(answer, seconds, self.by_another)


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
    """Ask as another client too, and wait for an answer to either question."""
    with contextlib.ExitStack() as stack:
        others: tuple[_Question, ...] = ()
        # Where this cannot be done, the server is as silent as it was.
        with contextlib.suppress(CheckError, PeerFailedError):
            way = connect(target, socket.SOCK_DGRAM, source=_another_client(target.address))
            others = (_Question(stack.enter_context(way), by_another=True),)
        return _await((question, *others), target.until)


def _await(questions: tuple[_Question, ...], until: float) -> _Found | None:
    """Wait for an answer to any of the questions; None where none comes."""
    poll = select.poll()
    asked = {question.connection.fileno(): question for question in questions}
    for number in asked:
        poll.register(number, select.POLLIN)
    while True:
        ready = poll.poll(max(0.0, until - time.monotonic()) * 1000)
        if not ready:
            return None
        for number, _ in ready:
            question = asked[number]
            try:
                found = question.receive()
            except PeerFailedError:
                if not question.by_another:
                    raise
                poll.unregister(number)
            else:
                # Of two clients the other one may be answered.
                if found and (found.answer.kiss != RATE or len(questions) == 1):
                    return found


def _another_client(address: str) -> str:
    """Return an address of this host from which the server has not been asked before."""
    if is_ipv6(address):
        return "::1"
    return "127." + ".".join(str(1 + byte % 254) for byte in os.urandom(3))


def _judge(limits: _Limits, found: _Found) -> Observation:
    answer, seconds = found.answer, found.seconds
    if answer.refusal:
        return Observation(Grade.UNCLEAR, answer.refusal, seconds, metrics=_metrics(limits, answer))
    offset = abs(answer.offset)
    text = f"stratum {answer.stratum}, offset {answer.offset * 1000:+.3f} ms"
    grade = Grade.RIGHT
    if answer.trouble:
        grade, text = Grade.WRONG, answer.trouble
    elif is_outside(limits.stratum_critical, answer.stratum):
        grade = Grade.WRONG
        text = f"stratum {answer.stratum} is outside of {limits.stratum_critical}"
    elif is_outside(limits.offset_critical, offset):
        grade = Grade.WRONG
        text = f"offset {answer.offset:+.3f} s is outside of {limits.offset_critical}"
    elif is_outside(limits.offset_warning, offset):
        grade = Grade.POOR
        text = f"offset {answer.offset:+.3f} s is outside of {limits.offset_warning}"
    if found.by_another:
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
