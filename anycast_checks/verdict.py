"""From samples to a state, a status line and performance data; the only user of nagiosplugin.

This module uses nagiosplugin's ranges, states and performance data. It does not use its `Check` and
`guarded`: with them UNKNOWN outranks CRITICAL, the text of an exception reaches the performance
data, and a time-out is a whole number of seconds.
"""

import re
from typing import NamedTuple

from .imports import lean
from .line import LIMIT, clean
from .observation import Grade, Metric, Observation, Sample
from .options import HealthOptions

# nagiosplugin imports these two only for its class Cookie, which nothing here uses.
lean("nagiosplugin", "json", "tempfile")
import nagiosplugin  # noqa: E402

OK, WARNING, CRITICAL = nagiosplugin.Ok, nagiosplugin.Warn, nagiosplugin.Critical
UNKNOWN = nagiosplugin.Unknown
FAILING = frozenset({Grade.WRONG, Grade.REFUSED, Grade.SILENT})
_NUMBER = r"-?\d{1,9}(\.\d{1,6})?"
_RANGE = re.compile(rf"@?((~|{_NUMBER}):)?({_NUMBER})?")
_LONG_OUTPUT = 4000  # characters, since Nagios reads 4 KB
_TRANSCRIPT = 64000  # characters with -vvv, which a person reads


class Verdict(NamedTuple):
    """A state, and the output that explains it.

    Attributes:
        state: one of nagiosplugin's states.
        text: text of the status line, which is cut where the line gets too long.
        perfdata: the performance data, complete or empty.
        remark: end of the text, which is never cut.
        details: lines of the long output.
    """

    state: nagiosplugin.state.ServiceState
    text: str
    perfdata: str = ""
    remark: str = ""
    details: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """The exit code."""
        return int(self.state.code)

    def render(self, name: str, verbose: int) -> str:
        """Return the whole output: the status line and the long output.

        Args:
            name: first word of the status line.
            verbose: how often -v was given.
        """
        perfdata = f" | {self.perfdata}" if self.perfdata else ""
        room = LIMIT - len(self.remark) - len(perfdata)
        head = f"{name} {self.state.text.upper()} - {self.text}"
        lines = [clean(head, room) + self.remark + perfdata]
        left = _TRANSCRIPT if verbose > 2 else _LONG_OUTPUT
        for detail in self.details:
            lines.append(clean(detail))
            left -= len(lines[-1]) + 1
            if left < 0:
                lines[-1] = "..."
                break
        return "\n".join(lines) + "\n"


def checked_range(text: str) -> str:
    """Return a text that is a range of the plugin guidelines.

    Raises:
        ValueError: the text is no range; the message says why.
    """
    # nagiosplugin accepts "", "@", ":" and "1_000" too, and its errors are Python's.
    if not _RANGE.fullmatch(text) or not text.strip("@:"):
        raise ValueError("not a range such as 0.5, 1:2 or @1:2")
    nagiosplugin.Range(text)
    return text


def is_outside(threshold: str | None, value: float) -> bool:
    """Tell whether a value is outside of a range; without a range it never is."""
    return threshold is not None and value not in nagiosplugin.Range(threshold)


def is_failing(options: HealthOptions, seen: Observation) -> bool:
    """Tell whether a sample fails: the peer answered wrongly, not at all, or slower than -c."""
    return seen.grade in FAILING or is_slow(seen, options.critical)


def is_slow(seen: Observation, threshold: str | None) -> bool:
    """Tell whether an answer came, and took a time outside of a range."""
    return seen.seconds is not None and is_outside(threshold, seen.seconds)


def perfdata(
    options: HealthOptions, sample: Sample | None, metrics: tuple[Metric, ...] = ()
) -> str:
    """Return the performance data of a health check, with the same labels in every state.

    A figure that is not known is U.

    Args:
        options: the options that all health checks share.
        sample: the last sample; None where none was taken.
        metrics: all figures of the check, for those that the sample has not measured.
    """
    seen = sample.observation if sample else None
    seconds = seen.seconds if seen else None
    time = nagiosplugin.Performance(
        "time",
        # In the grammar of the plugin guidelines U stands alone, without a unit.
        "U" if seconds is None else f"{seconds:.6f}",
        "" if seconds is None else "s",
        options.warning,
        options.critical,
        0,
        _plain(options.timeout),
    )
    known = sample is not None and sample.present is not None
    value = int(bool(sample and sample.present)) if known else "U"
    measured = {metric.label: metric for metric in (*metrics, *(seen.metrics if seen else ()))}
    own = (str(time), str(nagiosplugin.Performance("present", value)))
    return " ".join((*own, *map(performance, measured.values())))


def performance(metric: Metric) -> str:
    """Return one figure of the performance data, which is U where the value is not known."""
    known = metric.value is not None
    shown = nagiosplugin.Performance(
        metric.label,
        _plain(metric.value) or "U",
        metric.unit if known else "",
        metric.warning,
        metric.critical,
        _plain(metric.minimum),
        _plain(metric.maximum),
    )
    return str(shown)


def _plain(number: float | None) -> str | None:
    """Write a number without an exponent, which few readers of performance data understand."""
    return None if number is None else f"{number:.6f}".rstrip("0").rstrip(".")


def judge(
    options: HealthOptions, samples: tuple[Sample, ...], metrics: tuple[Metric, ...] = ()
) -> Verdict:
    """Judge all samples of a health check; the last one says whether the VIP is here."""
    judged = assess(options, samples)
    return judged._replace(
        perfdata=perfdata(options, samples[-1], metrics),
        details=_long_output(samples, options.verbose),
    )


def assess(options: HealthOptions, samples: tuple[Sample, ...]) -> Verdict:
    """Judge all samples as `judge` does, without performance data and long output."""
    last = samples[-1]
    seen = last.observation
    remark = ""
    if seen is None:
        state = nagiosplugin.Warn
        text = f"{options.address} {_gone(last)}, instance cannot be tested: restore by hand"
    elif seen.grade is Grade.UNCLEAR:
        place = {True: " announced", False: f" {_gone(last)}", None: ""}[last.present]
        state, text = nagiosplugin.Unknown, f"{options.address}{place}, cannot tell: {seen.text}"
    elif last.present is False:
        state, text = _judge_withdrawn(options, last, seen)
    else:
        state, text = _judge_present(options, samples, seen)
    if seen and (len(samples) > 1 or is_failing(options, seen)):
        count = f"{len(samples)} of {options.tries}"
        remark = f" ({count} tries)" if is_failing(options, seen) else f" (try {count})"
    return Verdict(state, text, remark=remark)


def _gone(sample: Sample) -> str:
    return "draining" if sample.draining else "withdrawn"


def _judge_withdrawn(
    options: HealthOptions, sample: Sample, seen: Observation
) -> tuple[nagiosplugin.state.ServiceState, str]:
    gone, said = _gone(sample), f"{sample.address}: {_told(seen)}"
    slow = is_slow(seen, options.warning) or is_slow(seen, options.critical)
    if seen.grade is not Grade.RIGHT or slow:
        text = f"{options.address} {gone}, instance still failing: {said}"
        return nagiosplugin.Warn, text
    return nagiosplugin.Ok, f"{options.address} healthy, {gone}: {said}"


def _judge_present(
    options: HealthOptions, samples: tuple[Sample, ...], seen: Observation
) -> tuple[nagiosplugin.state.ServiceState, str]:
    vip = options.address if options.client else f"{options.address} announced"
    if not is_failing(options, seen):
        if is_slow(seen, options.warning):
            return nagiosplugin.Warn, f"{vip}, slower than {options.warning} s: {_told(seen)}"
        if seen.grade is Grade.POOR:
            return nagiosplugin.Warn, f"{vip}, {_told(seen)}"
        return nagiosplugin.Ok, f"{vip}: {_told(seen)}"
    if any(sample.present != samples[-1].present for sample in samples):
        return nagiosplugin.Unknown, f"{vip} only during the test: {_told(seen)}"
    silent = any(
        sample.observation and sample.observation.grade is Grade.SILENT for sample in samples
    )
    if silent and options.timeout_state == "unknown":
        return nagiosplugin.Unknown, f"{vip}, cannot tell: {_told(seen)}"
    vip = options.address if options.client else f"{options.address} still announced"
    answered = seen.grade in (Grade.RIGHT, Grade.POOR)
    slow = f"slower than {options.critical} s: " if answered else ""
    return nagiosplugin.Critical, f"{vip}: {slow}{_told(seen)}"


def _told(seen: Observation) -> str:
    if seen.seconds is None:
        return seen.text
    if seen.seconds < 1:
        return f"{seen.text} in {seen.seconds * 1000:.1f} ms"
    return f"{seen.text} in {seen.seconds:.2f} s"


def _long_output(samples: tuple[Sample, ...], verbose: int) -> tuple[str, ...]:
    last = samples[-1].observation
    lines = list(last.parts) if last else []
    for number, sample in enumerate(samples, start=1):
        seen = sample.observation
        if verbose and seen:
            lines.append(f"try {number}, {sample.address}: {_told(seen)}")
            if verbose > 1 or sample is samples[-1]:
                lines.extend(seen.details)
            if verbose > 2:
                lines.extend(seen.transcript)
    return tuple(lines)
