"""Ask a time server, and judge how good its time is."""

import functools
import socket
import time
from typing import NamedTuple

import click

from .address import Target, connect
from .health import health_check
from .ntp_packet import Answer, make_query, parse
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
    range. A server that refuses to answer this host, by a kiss code, is UNKNOWN.
    """  # fmt: skip
    limits = _Limits(offset_warning, offset_critical, stratum_critical)
    return functools.partial(_ask, limits)


def _ask(limits: _Limits, target: Target) -> Observation:
    query, stamp = make_query()
    with connect(target, socket.SOCK_DGRAM) as connection:
        began, sent = time.monotonic(), time.time()

        def read(data: bytes) -> tuple[Answer, float]:
            seconds = time.monotonic() - began
            return parse(data, stamp, sent, sent + seconds), seconds

        connection.send(query)
        answer, seconds = connection.receive_answer(read)
    return _judge(limits, answer, seconds)


def _judge(limits: _Limits, answer: Answer, seconds: float) -> Observation:
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
