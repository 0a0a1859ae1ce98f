"""How a service stands after each sample of a stream: its state, and whether that is to be said."""

import enum
from collections import deque
from typing import NamedTuple

from .observation import Grade, Sample
from .options import HealthOptions
from .verdict import CRITICAL, UNKNOWN, assess, is_failing


class Kind(enum.Enum):
    """What came of a question."""

    REFUSED = "refused"
    SILENT = "silent"
    WRONG = "wrong"
    SLOW = "slow"
    RIGHT = "right"
    POOR = "poor"
    UNCLEAR = "unclear"
    UNTESTED = "untested"


_KINDS = {
    Grade.RIGHT: Kind.RIGHT,
    Grade.POOR: Kind.POOR,
    Grade.WRONG: Kind.WRONG,
    Grade.REFUSED: Kind.REFUSED,
    Grade.SILENT: Kind.SILENT,
    Grade.UNCLEAR: Kind.UNCLEAR,
}


_FAILING = (Kind.REFUSED, Kind.SILENT, Kind.WRONG, Kind.SLOW)
_WELL = (Kind.RIGHT, Kind.POOR)


class Taken(NamedTuple):
    """A sample, and when it was taken.

    Attributes:
        began: when the question was put, by `time.monotonic`.
        ended: when the answer had come, or its time was up, by the same clock.
        began_uptime: the same as ``began`` by the clock of /proc/uptime.
        uptime: the same as ``ended`` by the clock of /proc/uptime.
        sample: what was seen; None where the check was in trouble.
        trouble: in what trouble the check was.
    """

    began: float
    ended: float
    began_uptime: float
    uptime: float
    sample: Sample | None
    trouble: str = ""

    @property
    def present(self) -> bool | None:
        """Whether the VIP is on this host; None where this sample does not show it."""
        return self.sample.present if self.sample else None

    @property
    def seconds(self) -> float | None:
        """The response time; None where there was no answer."""
        seen = self.sample.observation if self.sample else None
        return seen.seconds if seen else None

    def kind(self, options: HealthOptions) -> Kind:
        """Tell what came of the question."""
        if self.sample is None:
            return Kind.UNCLEAR
        seen = self.sample.observation
        if seen is None:
            return Kind.UNTESTED
        kind = _KINDS[seen.grade]
        answered = kind in (Kind.RIGHT, Kind.POOR)
        return Kind.SLOW if answered and is_failing(options, seen) else kind


class Stand(NamedTuple):
    """How the service stands after a sample.

    Attributes:
        state: the name of the state, such as "CRITICAL".
        failing: whether the sample fails.
        kind: what came of the question.
        text: words for a person.
        samples: how many samples in a row have failed.
        is_suspect: whether the sample is the first sign of trouble.
        is_changed: whether the state, or whether the VIP is present, is another than before.
        is_news: whether the sample is to be said.
    """

    state: str
    failing: bool
    kind: Kind
    text: str
    samples: int
    is_suspect: bool
    is_changed: bool
    is_news: bool


class Standing:
    """Keeps the state of a service from one sample to the next."""

    def __init__(self, options: HealthOptions) -> None:
        self._options = options
        self._row: deque[Sample] = deque(maxlen=options.tries)
        self._count = 0
        self._state = UNKNOWN
        self._present: bool | None = None
        self._well_began = float("-inf")
        self._is_suspect = False
        self._is_first = True
        # What the next sample that is right makes of a service that is OK, and has been before.
        self._usual: Stand | None = None

    def suspect(self) -> bool:
        """Note a sign of trouble, after which the next sample is news; tell whether it is new."""
        was, self._is_suspect, self._usual = self._is_suspect, True, None
        return not was

    def add(self, taken: Taken) -> Stand | None:
        """Count a sample.

        Return None for one that is out of date: it does not say that all is well, and a question
        that was put later has been answered rightly before it ended.
        """
        kind = taken.kind(self._options)
        if kind in _WELL:
            self._well_began = max(self._well_began, taken.began)
        elif taken.began < self._well_began:
            return None
        if self._usual and kind is Kind.RIGHT and taken.present == self._present:
            return self._usual
        failing, before = kind in _FAILING, (self._state, self._present)
        if not failing or taken.present != self._present:
            self._row.clear()
            self._count = 0
        self._present = taken.present
        self._count += failing
        text = self._judged(taken, failing=failing)
        is_changed = self._is_first or before != (self._state, self._present)
        made = Stand(
            state=self._state.text.upper(),
            failing=failing,
            kind=kind,
            text=text,
            samples=self._count,
            is_suspect=failing and not self._is_suspect,
            is_changed=is_changed,
            is_news=failing or is_changed or self._is_suspect,
        )
        self._is_suspect, self._is_first = failing, False
        has_limits = self._options.warning or self._options.critical
        is_usual = kind is Kind.RIGHT and not made.is_news and not has_limits
        self._usual = made if is_usual else None
        return made

    def _judged(self, taken: Taken, *, failing: bool) -> str:
        if taken.sample is None:
            self._state = UNKNOWN
            return f"{self._options.address}, cannot tell: {taken.trouble}"
        if failing:
            self._row.append(taken.sample)
        verdict = assess(self._options, tuple(self._row) or (taken.sample,))
        # A single failure is none yet. But nothing is CRITICAL that attracts no traffic.
        is_over = self._state is CRITICAL and taken.present is False
        if not failing or is_over or self._count >= self._options.tries:
            self._state = verdict.state
        return verdict.text + verdict.remark
