"""What a stream proves about a service; pure: it is told what came, and when.

Nothing is evidence that is not certain to be about this moment: a stream that is lost, one that has
not run for a whole interval, a line that was under way for long, an endpoint that has started anew.
All of these are *cannot tell*, which withdraws nobody and restores nobody.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ..decision.facts import State, StateType
from .line import Beat, End, Hello, Line, Sample

# A stream beats each second.
BEATS_MISSED = 3.2
# A line that was under way for longer says nothing about this moment.
LONGEST_UNDER_WAY = 1.0
# For how many seconds the delay of a line is compared with.
OF_LATE = 30.0
# How long after the next sample was due the last one still tells how the service is.
ROOM = 0.3
SILENT = "silent"


class Rules(NamedTuple):
    """What makes a failure certain.

    Attributes:
        interval: seconds from one question to the next.
        timeout: seconds that a question may take.
        samples: how many samples in a row have to fail.
        patience: for how many seconds every sample has to fail.
    """

    interval: float = 0.2
    timeout: float = 2.0
    samples: int = 2
    patience: float = 0.5


class Judgement(NamedTuple):
    """The state of a service, in the words of an engine, and what it rests on.

    Attributes:
        state: UNKNOWN where nothing can be told.
        state_type: HARD where it is certain.
        text: what a person reads.
        kind: in what way the service fails.
        present: whether the VIP is on the endpoint; None where that is not known.
        failing_since: when it began to fail, by the clock of whoever heard; None where it does not.
    """

    state: State
    state_type: StateType
    text: str
    kind: str = ""
    present: bool | None = None
    failing_since: float | None = None

    @property
    def is_certain_failure(self) -> bool:
        """Whether the service fails traffic, for certain."""
        return self.state is State.CRITICAL and self.state_type is StateType.HARD

    @property
    def is_certain_health(self) -> bool:
        """Whether the service is well, for certain."""
        return self.state is State.OK and self.state_type is StateType.HARD


NOTHING_YET = "nothing was heard of its stream yet"


class Evidence:
    """What was heard of one stream; all times are the seconds of one monotonic clock."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._why = NOTHING_YET
        self._hello: Hello | None = None
        self._begun = 0.0
        self.heard: float | None = None
        self._delays: deque[tuple[float, float]] = deque()
        self._is_stale = False
        self._sample: Sample | None = None
        self._sampled = 0.0
        self._first: Sample | None = None
        self._failing_since: float | None = None
        self._overlap = False
        self.taken = 0

    def hear(self, line: Line, at: float) -> bool:
        """Take a line of the stream, heard at a moment.

        Returns:
            Whether it may change a judgement; a beat of a stream that is not late does not.
        """
        if line is None:
            return False
        self.heard = at
        if isinstance(line, Hello):
            self._begin(line, at)
        elif self._hello is None:
            self.lose("its stream did not begin with a hello")
        elif self._is_late(line.uptime, at):
            # What the line tells may be over: nothing is known until a line of this moment comes.
            self._sample = line if isinstance(line, Sample) else self._sample
            self._is_stale = True
            self._forget_failure()
        elif isinstance(line, Sample):
            self._is_stale = False
            self._take(line, at)
        elif isinstance(line, Beat):
            self.taken += line.samples
            was_stale, self._is_stale = self._is_stale, self._is_stale and line.samples == 0
            return was_stale
        elif isinstance(line, End):
            self.lose(f"its stream has ended: {line.why}")
        return True

    def lose(self, why: str) -> None:
        """Take note that nothing more comes."""
        self._why = why
        self._hello = None
        self._sample = None
        self._delays.clear()
        self._forget_failure()

    @property
    def lost_at(self) -> float:
        """Give the moment at which the stream is lost where nothing more is heard of it."""
        return float("inf") if self._hello is None else (self.heard or 0.0) + BEATS_MISSED

    def is_lost(self, now: float) -> bool:
        """Whether the stream was to be heard of, and was not."""
        return now >= self.lost_at

    def judge(self, now: float) -> Judgement:
        """Say how the service is at a moment."""
        sample = self._sample
        if self._hello is None or self.is_lost(now):
            why = self._why if self._hello is None else "its stream fell silent"
            return Judgement(State.UNKNOWN, StateType.HARD, why)
        if self._is_stale:
            return Judgement(State.UNKNOWN, StateType.SOFT, "its stream came late")
        if sample is None or now - self._begun < self._rules.interval:
            return Judgement(State.UNKNOWN, StateType.SOFT, self._why)
        present = sample.present
        if sample.state is not State.CRITICAL:
            # A single sample that fails does not change the state yet.
            not_yet = sample.failing and sample.failures < self._rules.samples
            kind = StateType.SOFT if not_yet else StateType.HARD
            return Judgement(
                sample.state, kind, sample.text, sample.kind, present, self._failing_since
            )
        kind = StateType.HARD if self._is_certain(sample, now) else StateType.SOFT
        return Judgement(
            State.CRITICAL, kind, sample.text, sample.kind, present, self._failing_since
        )

    def due(self) -> float | None:
        """Give the moment at which a failure may become certain without another line."""
        if self._failing_since is None:
            return None
        return max(self._failing_since + self._rules.patience, self._begun + self._rules.interval)

    def _begin(self, hello: Hello, at: float) -> None:
        self.lose("its first question has not been answered yet")
        self._hello = hello
        self._begun = at
        self._is_stale = False
        self._delays.append((at, at - hello.uptime))

    def _is_late(self, uptime: float, at: float) -> bool:
        """Compare two clocks: the least difference of late is that of the fastest line.

        Only lines of late count, since no two clocks run alike for hours.
        """
        delay = at - uptime
        while self._delays and at - self._delays[0][0] > OF_LATE:
            self._delays.popleft()
        least = self._delays[0][1] if self._delays else delay
        # A line that was slower than a later one is never the fastest again. So the first one left
        # is the fastest, and there are few, however many lines come.
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((at, delay))
        return delay - least > LONGEST_UNDER_WAY

    def _take(self, sample: Sample, at: float) -> None:
        before, self._sample, self._sampled = self._sample, sample, at
        if not sample.failing:
            self._forget_failure()
            return
        if self._failing_since is None:
            self._failing_since, self._first = at, sample
        elif before and sample.began < before.uptime:
            self._overlap = True

    def _forget_failure(self) -> None:
        self._failing_since = self._first = None
        self._overlap = False

    def _is_certain(self, sample: Sample, now: float) -> bool:
        rules = self._rules
        if self._failing_since is None or sample.failures < rules.samples:
            return False
        if now - self._failing_since < rules.patience:
            return False
        # The last sample has to be of this moment: silence of the stream is no failure.
        if now - self._sampled > rules.interval + rules.timeout + ROOM:
            return False
        return sample.kind != SILENT or self._overlap
