"""One VIP on one endpoint, as the watcher knows it."""

from __future__ import annotations

from collections import deque

from ..decision.facts import State, StateType
from ..endpoint.check import check_of, option, stream_of
from ..fleet.values import Endpoint, Fleet, Vip
from ..transport.shell import Argv
from .ahead import Ahead
from .board import Decided, Held
from .evidence import NOTHING_YET, Evidence, Judgement, Rules

TIMEOUT = 2.0
# Pauses in seconds between two acts that were refused: the first, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# Without a refusal for so long, the pauses begin anew.
FORGIVEN_SECONDS = 120.0
KEPT_DECISIONS = 5
# Longest wait for what is asked ahead, in seconds.
AHEAD_SECONDS = 8.0
REFUSED = "refused"


class Wait:
    """When an act may be tried next; ``not_before`` is a moment of the monotonic clock."""

    def __init__(self) -> None:
        self.not_before = 0.0
        self._pause = 0.0
        self._refused_at = 0.0

    def refused(self, now: float, again: float) -> None:
        """Wait for so many seconds, or longer each time where that is 0."""
        if again > 0:
            self.not_before = now + again
            return
        if now - self._refused_at > FORGIVEN_SECONDS:
            self._pause = 0.0
        self._refused_at = now
        self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause))
        self.not_before = now + self._pause


class Target:
    """One VIP on one endpoint; it is changed by the main loop of the watcher alone.

    Attributes:
        vip: the VIP.
        endpoint: the endpoint.
        number: its number among the VIPs of that endpoint.
        argv: the command of its stream; empty where its check cannot go on asking.
        evidence: what its stream proves.
        judgement: what was judged last.
        since: since when the state is so, in seconds since the epoch.
        withdrawing: when a withdrawal may be tried.
        restoring: when a restore may be tried.
        next_look: when the endpoint is looked at next.
        is_looking: whether a look is under way.
        is_waiting: whether it was said that its withdrawal waits, for an act on another endpoint or
            because of a common cause.
        certain_since: since when the present failure is certain.
        ahead: what is asked ahead of an act.
        announced: whether the endpoint announces the VIP; None where that is not known.
        latched: whether the suite has withdrawn it; None where that is not known.
        in_downtime: whether it is in a downtime of an engine, as far as is known.
        held: the hold on it; None where there is none, or it is not known.
        hold_unknown: whether the last look could not tell whether there is a hold.
        control: state and text of the last look or act, and its time in seconds since the epoch.
        looked_at: when a look has last seen it (monotonic clock); None where none has.
        trouble: what the last look or act has found wrong, or could not find out.
        decisions: the last decisions.
    """

    def __init__(self, fleet: Fleet, vip: Vip, endpoint: Endpoint) -> None:
        self.vip = vip
        self.endpoint = endpoint
        here = [
            v.name for v in fleet.vips if any(e.address == endpoint.address for e in v.endpoints)
        ]
        self.number = here.index(vip.name)
        self.argv: Argv = stream_of(vip) or ()
        how = vip.stream
        rules = Rules(how.interval, _timeout(vip), how.samples, how.patience)
        self.evidence = Evidence(rules)
        self.judgement = Judgement(State.UNKNOWN, StateType.HARD, NOTHING_YET)
        self.since = 0.0
        self.withdrawing, self.restoring = Wait(), Wait()
        self.next_look = 0.0
        self.is_looking = self.is_waiting = False
        self.certain_since: float | None = None
        self.ahead: Ahead | None = None
        self.announced: bool | None = None
        self.latched: bool | None = None
        self.in_downtime = False
        self.held: Held | None = None
        self.hold_unknown = False
        self.control: tuple[State, str, float] | None = None
        self.looked_at: float | None = None
        self.trouble = ""
        self.decisions: deque[Decided] = deque(maxlen=KEPT_DECISIONS)

    @property
    def name(self) -> str:
        """Name it for people."""
        return f"{self.vip.name} {self.endpoint.name}"

    @property
    def last_rule(self) -> str:
        """The rule of the last decision on the present state; empty where there is none."""
        last = self.decisions[-1] if self.decisions else None
        return last.rule if last and last.at >= self.since else ""

    @property
    def asked_in_vain(self) -> bool:
        """Whether what was asked ahead while an answer was late waits as long for its own.

        A service that refuses by now answers the next one at once.
        """
        ahead, judged = self.ahead, self.judgement
        if ahead is None or ahead.is_done or judged.failing_since is None:
            return False
        return ahead.at < judged.failing_since and judged.kind == REFUSED

    def is_awaited(self, now: float) -> bool:
        """Whether the answers to what was asked ahead may still come."""
        ahead = self.ahead
        return ahead is not None and not ahead.is_done and now - ahead.at < AHEAD_SECONDS

    def is_same(self, other: Target) -> bool:
        """Whether another target asks the same of the same endpoint."""
        return (self.vip, self.endpoint, self.argv) == (other.vip, other.endpoint, other.argv)


def _timeout(vip: Vip) -> float:
    words = check_of(vip)
    try:
        return float(option(words, "--timeout") or option(words, "-t") or TIMEOUT)
    except ValueError:
        return TIMEOUT
