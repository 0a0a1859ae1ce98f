"""What each endpoint was in a stretch of time, and what was decided about it: a lane for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from ..decision.facts import Action, State, StateType
from .ending import ending
from .past import FAILED, Wanted

Entry = Mapping[str, Any]
# With another state nobody can tell whether the service fails.
TELLING = (State.OK.name, State.WARNING.name, State.CRITICAL.name)
NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))


class Course(Wanted):
    """Wants decisions, and besides what shows when an endpoint has become another one.

    Nearly every look finds an endpoint as the look before it has. So of such decisions to do
    nothing only the first and the last in a row are wanted, in whatever direction they are read.
    """

    def __init__(self, fields: Mapping[str, str], *, everything: bool, since: str = "") -> None:
        super().__init__(fields, everything=everything, since=since)
        self._seen: dict[bytes, bytes] = {}
        self._last: dict[bytes, bytes] = {}

    def _chosen(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            place = line[line.find(b'"vip":') : line.find(b',"verb":')]
            is_routine = any(one in line for one in self._has_not) and FAILED not in line
            seen = line[line.find(b'"state":') : line.find(b',"announced":')] if is_routine else b""
            if is_routine and self._seen.get(place) == seen:
                self._last[place] = line
                continue
            if place in self._last:
                yield self._last.pop(place)
            self._seen[place] = seen
            yield line

    def _kept_back(self) -> list[bytes]:
        lines = list(self._last.values())
        # The next file may be read in the other direction.
        self._seen, self._last = {}, {}
        return lines

    def _is(self, entry: Entry) -> bool:
        return all(entry.get(key) == value for key, value in self._fields.items())


class What(Enum):
    """What an endpoint was; the value is the word for it."""

    SERVING = "in service"
    FAILING = "in service and failing"
    OUT = "out of service"
    UNKNOWN = "not known"


class Span(NamedTuple):
    """A stretch of time in which an endpoint was the same; both times are since the epoch."""

    what: What
    begin: float
    end: float


class Told(NamedTuple):
    """A decision, or several alike in a row: the newest of them, when each end was, how many."""

    entry: Entry
    first: float
    last: float
    times: int

    @property
    def has_failed(self) -> bool:
        """Whether it was refused, taken back, or tried and failed."""
        entry = self.entry
        failed = bool(ending(entry)) or entry.get("rule") == "error"
        return failed or entry.get("action") == Action.REFUSE.value


class Lane(NamedTuple):
    """One VIP on one endpoint: what it was, without a gap, and the decisions, the oldest first."""

    vip: str
    endpoint: str
    spans: tuple[Span, ...]
    told: tuple[Told, ...]

    @property
    def what(self) -> What:
        """What it was at the end."""
        return self.spans[-1].what


def lanes(entries: Iterable[Entry], wanted: Wanted, begin: float, end: float) -> list[Lane]:
    """Make a lane of each endpoint about which something was decided.

    Args:
        entries: what was found in the log, in any order.
        wanted: tells the decisions from what only shows how an endpoint was.
        begin: the beginning of the stretch of time, since the epoch.
        end: its end.

    Returns:
        The lanes in the order of their names. Endpoints about which nothing was decided have none.
    """
    places: dict[tuple[str, str], list[tuple[float, Entry]]] = {}
    for entry in entries:
        at = _time(entry)
        if at is not None and begin <= at <= end:
            place = str(entry.get("vip")), str(entry.get("endpoint"))
            places.setdefault(place, []).append((at, entry))
    made = []
    for (vip, endpoint), of in sorted(places.items()):
        of.sort(key=lambda one: one[0])
        told = tuple(_told((at, entry) for at, entry in of if wanted.is_decision(entry)))
        if told:
            made.append(Lane(vip, endpoint, tuple(_spans(of, begin, end)), told))
    return made


def _time(entry: Entry) -> float | None:
    try:
        return datetime.fromisoformat(
            str(entry.get("time")).removesuffix("Z") + "+00:00"
        ).timestamp()
    except (ValueError, OverflowError):
        return None


def _told(decisions: Iterable[tuple[float, Entry]]) -> list[Told]:
    """Make one of decisions that are alike, such as a refusal that each run repeats."""
    told: list[Told] = []
    for at, entry in decisions:
        if told and _alike(told[-1].entry) == _alike(entry):
            told[-1] = Told(entry, told[-1].first, at, told[-1].times + 1)
        else:
            told.append(Told(entry, at, at, 1))
    return told


def _alike(entry: Entry) -> tuple[Any, ...]:
    fields = [entry.get(key) for key in ("verb", "user", "dry_run", "rule", "action", "exit")]
    # An act is told each time it was made.
    number = entry.get("time") if entry.get("commands") else None
    return (*map(str, fields), str(entry.get("text")).translate(NO_DIGITS), number)


def _spans(entries: Sequence[tuple[float, Entry]], begin: float, end: float) -> Iterator[Span]:
    what, since = What.UNKNOWN, begin
    for at, now in _changes(entries):
        if now is not what:
            if at > since:
                yield Span(what, since, at)
            what, since = now, max(at, since)
    yield Span(what, since, end)


def _changes(entries: Sequence[tuple[float, Entry]]) -> Iterator[tuple[float, What]]:
    present: bool | None = None
    known, is_failing = 0.0, False
    for at, entry in entries:
        before, after = _presence(entry)
        if None not in (before, present) and before is not present:
            # Something else has changed it, and nobody knows when.
            yield known, What.UNKNOWN
        if before is None and after is None and present is None:
            continue
        if entry.get("state_type") == StateType.HARD.value and entry.get("state") in TELLING:
            is_failing = entry.get("state") == State.CRITICAL.name
        present = present if before is None and after is None else after
        if entry.get("action") == Action.RESTORE.value:
            is_failing = False
        known = at
        if not present:
            yield at, What.UNKNOWN if present is None else What.OUT
        else:
            yield at, What.FAILING if is_failing else What.SERVING


def _presence(entry: Entry) -> tuple[bool | None, bool | None]:
    """Say whether the address was there before a decision, and after it; None where unknown."""
    before, after = entry.get("present"), entry.get("afterwards")
    return (
        before if isinstance(before, bool) else None,
        after if isinstance(after, bool) else None,
    )
