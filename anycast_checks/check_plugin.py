"""Ask with any Nagios plugin that is installed on the endpoint."""

import functools
import re
import shlex
import signal
import time

import click

from .address import Locality, locality, require_local
from .connection import Target
from .dump import dump
from .errors import CheckError
from .health import health_check
from .line import clean
from .observation import Grade, Metric, Observation
from .options import HealthOptions
from .program import Ended, run_program
from .sampling import Probe

_ADDRESS = "{address}"
_LIMIT = 65536  # bytes of output that are looked at
_GRADES = {0: Grade.RIGHT, 1: Grade.POOR, 2: Grade.WRONG}
_UNKNOWN = 3
_ROOM = 90  # characters of the status line that the performance data of the plugin may take
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_RANGE = r"[-0-9.eE+:~@]*"
_LABEL = r"[!-&(-<>-{}~]"  # printable, without quote, equals sign and bar
_FIGURE = re.compile(
    rf"(?:'((?:{_LABEL}| )+)'|({_LABEL}+))=({_NUMBER}|U)([a-zA-Z%]*)"
    rf"(?:;({_RANGE}))?(?:;({_RANGE}))?(?:;({_NUMBER})?)?(?:;({_NUMBER})?)?;*(?=\s|$)",
    re.ASCII,
)
_LARGEST = 1e15
_OURS = ("time", "present")
_EXAMPLES = """\
check_anycast plugin -H 192.0.2.53 -- \\
    /usr/lib/nagios/plugins/check_ldap -H {address} -b dc=example -t 1
check_anycast plugin -H 192.0.2.53 -t 5 --tries 1 -- \\
    /usr/lib/nagios/plugins/check_smtp -H {address} -t 4
"""


@health_check(port=None, examples=_EXAMPLES)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
def command(options: HealthOptions, *, words: tuple[str, ...]) -> Probe:
    """Run a Nagios plugin on this endpoint, and judge by its exit status.

    {address} in its arguments stands for the address to ask: the anycast address, or the address of
    the instance while the anycast address is withdrawn. The check proves that this address is on
    this host before the plugin starts and after it has ended; it cannot prove that the plugin asks
    no other address. The plugin's own time-out should be shorter than --timeout, since a plugin
    that has to be killed is UNKNOWN.
    """
    if not any(_ADDRESS in word for word in words[1:]):
        raise click.UsageError(f"COMMAND has no {_ADDRESS}: what would it ask?")
    return functools.partial(_ask, words)


def _ask(words: tuple[str, ...], target: Target) -> Observation:
    argv = (words[0], *(word.replace(_ADDRESS, target.address) for word in words[1:]))
    if target.proven:
        require_local(target.address)
    began = time.monotonic()
    try:
        ended = run_program(argv, target.until, _LIMIT)
    except CheckError as error:
        return Observation(Grade.UNCLEAR, str(error))
    seconds = time.monotonic() - began
    if target.noted is not None:
        target.noted.append(f"> {shlex.join(argv)}")
        target.noted.extend(f"< {line}" for line in dump(ended.stdout))
        target.noted.extend(f"stderr {line}" for line in dump(ended.stderr) if ended.stderr)
    if target.proven and locality(target.address) is not Locality.LOCAL:
        raise CheckError(f"{target.address} left this host while {words[0]} ran")
    return _judge(words[0], ended, seconds)


def _judge(program: str, ended: Ended, seconds: float) -> Observation:
    lines = ended.stdout.decode("utf-8", "replace").splitlines() or [""]
    text, _, figures = lines[0].partition("|")
    said = clean(text)
    # An interpreter that does not find its script exits with 2 too, but prints no line on stdout.
    if ended.status not in _GRADES or not said:
        why = said or clean(ended.stderr.decode("utf-8", "replace")) or "it said nothing"
        return Observation(Grade.UNCLEAR, f"{program} {_how(ended.status)}: {why}", seconds)
    metrics = _metrics(figures)
    details = (*lines[1:], *(("(cut off here)",) if ended.cut else ()))
    return Observation(_GRADES[ended.status], said, seconds, details, metrics=metrics)


def _how(status: int) -> str:
    if status in _GRADES:
        return f"ended with {status}, and printed no line"
    if status == _UNKNOWN:
        return "says UNKNOWN"
    if status > 0:
        return f"ended with {status}, which is no state"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _metrics(figures: str) -> tuple[Metric, ...]:
    """Return the performance data that can be read and for which the status line has room."""
    found: list[Metric] = []
    room = _ROOM
    for match in _FIGURE.finditer(figures):
        room -= len(match[0]) + 1
        if room < 0:
            break
        label = match[1] or match[2]
        value, minimum, maximum = map(_number, match.group(3, 7, 8))
        warning, critical = (text or None for text in match.group(5, 6))
        name = f"plugin_{label}" if label in _OURS else label
        found.append(Metric(name, value, match[4], warning, critical, minimum, maximum))
    return tuple(found)


def _number(text: str | None) -> float | None:
    """Return a number that can be written in plain digits; None for U and for anything else."""
    value = _LARGEST if text in (None, "", "U") else float(text)
    return value if abs(value) < _LARGEST else None
