"""One line of a stream, read strictly: an endpoint may print anything at all.

The format is that of docs/checks.rst.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from anycast_checks.line import clean

from ..decision.facts import State
from ..endpoint.numbers import time

# The version of the format that is understood here.
VERSION = 1
LONGEST = 512
# A line that has this in it says no more than that the stream lives.
BEAT = '"beat":'
LARGEST_NUMBER = 2**53


class NotALineError(ValueError):
    """A line that makes no sense."""


class Hello(NamedTuple):
    """The first line of a stream; ``wakeups`` names what the kernel tells the process at once."""

    version: str
    boot: str
    interval: float
    wakeups: tuple[str, ...]
    uptime: float


class Sample(NamedTuple):
    """One question to a service, and what came of it.

    Attributes:
        state: how the check judges the service, over several questions.
        failing: whether this question failed.
        present: whether the VIP was on the endpoint; None where that was not proven.
        kind: in what way it failed, or that it did not.
        text: what a person reads.
        failures: how many questions in a row have failed.
        began: when the question was put, by the clock of ``uptime``.
        uptime: when it ended, in seconds since the boot of the endpoint.
    """

    state: State
    failing: bool
    present: bool | None
    kind: str
    text: str
    failures: int
    began: float
    uptime: float


class Suspect(NamedTuple):
    """A sign that something may be about to happen."""

    kind: str
    uptime: float


class Beat(NamedTuple):
    """What a stream says each second; ``samples`` is how many questions have ended since."""

    samples: int
    uptime: float


class End(NamedTuple):
    """The last line of a stream: why it ends."""

    why: str
    uptime: float


Line = Hello | Sample | Suspect | Beat | End | None


def read(text: str) -> Line:
    """Read a line; None for one of a kind that is not known here.

    Raises:
        NotALineError: it is no line of this version of the format.
    """
    if len(text) > LONGEST:
        raise NotALineError(f"a line of {len(text)} characters")
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise NotALineError(clean(f"said {text}", 100))
        for key, read_one in _KINDS.items():
            if key in document:
                return read_one(document, time(document.get("uptime")))
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        if isinstance(error, NotALineError):
            raise
        raise NotALineError(clean(f"said {text}", 100)) from error
    return None


def _hello(document: dict[str, Any], uptime: float) -> Hello:
    version = _number(document["stream"])
    if version != VERSION:
        # Which package is the newer one, a person has to see.
        said = clean(str(document.get("version")), 40)
        raise NotALineError(f"format {version} of its stream (package {said}), not {VERSION}")
    wakeups = document["wakeups"]
    if not isinstance(wakeups, list) or len(wakeups) > 10:
        raise NotALineError("wakeups that make no sense")
    return Hello(
        _text(document["version"]),
        _text(document["boot"]),
        time(document["interval"]),
        tuple(_text(one) for one in wakeups),
        uptime,
    )


def _sample(document: dict[str, Any], uptime: float) -> Sample:
    present = document["present"]
    return Sample(
        State[document["state"]],
        _truth(document["failing"]),
        None if present is None else _truth(present),
        _text(document["kind"]),
        _text(document["text"]),
        _number(document["samples"]),
        time(document["began"]),
        uptime,
    )


def _suspect(document: dict[str, Any], uptime: float) -> Suspect:
    return Suspect(_text(document["kind"]), uptime)


def _beat(document: dict[str, Any], uptime: float) -> Beat:
    return Beat(_number(document["samples"]), uptime)


def _end(document: dict[str, Any], uptime: float) -> End:
    return End(_text(document["end"]), uptime)


_KINDS: dict[str, Callable[[dict[str, Any], float], Line]] = {
    "stream": _hello,
    "state": _sample,
    "suspect": _suspect,
    "beat": _beat,
    "end": _end,
}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise NotALineError("a number in the place of a text")
    return clean(value, LONGEST)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise NotALineError("no true or false where one belongs")
    return value


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST_NUMBER:
        raise NotALineError("no whole number where one belongs")
    return value
