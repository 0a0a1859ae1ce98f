"""How often the watcher looks at each endpoint."""

from __future__ import annotations

from ..decision.automation import RACE_SECONDS
from ..decision.facts import Action
from ..operation.outcome import Outcome
from ..transport.clock import Clock

# Each endpoint is looked at so often, as the engine's control service does; where there are many,
# more rarely, so that all looks together keep to a share of the time.
LOOK_SECONDS, LOOK_SHARE = 60.0, 0.1
# As long as a withdrawal may be taken back because too few others announce, it is looked at more
# often: the routing may learn only then of a host that has lost its power.
YOUNG_LOOK_SECONDS = 8.0
# When an endpoint begins to be acted on, or to be asked ahead, the next look waits so long. It does
# so at most once in a while: one that fails again and again must not keep the others unseen.
ROOM_SECONDS, ROOM_EVERY = 2.0, 4.0
# A look that was due twice and did not come is one that fails, whatever the reason.
MISSED_LOOKS = 3


def look_pace(targets: int) -> float:
    """Give the seconds between two looks at an endpoint, of so many targets."""
    return max(LOOK_SECONDS, targets * LOOK_SHARE)


def longest_known(targets: int) -> float:
    """Give for how many seconds the findings of a look hold, of so many targets."""
    return MISSED_LOOKS * look_pace(targets)


def look_pause_after(outcome: Outcome | None, pace: float) -> float:
    """Give the seconds after which an endpoint is looked at again, by what came of the last time.

    Args:
        outcome: what came of a look or an act; None where that was a fault of the program.
        pace: seconds between two looks at an endpoint.
    """
    return min(YOUNG_LOOK_SECONDS, pace) if _is_young(outcome) else pace


def _is_young(outcome: Outcome | None) -> bool:
    """Whether an endpoint was withdrawn a moment ago."""
    if outcome is None or outcome.look is None or outcome.present:
        return False
    if outcome.has_acted and outcome.decision and outcome.decision.action is Action.WITHDRAW:
        return True
    age = outcome.look.latch_age
    return age is not None and age < RACE_SECONDS


class LookPause:
    """How long a look waits after the one before, of whatever endpoint."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._room_at = float("-inf")

    def make_room(self) -> None:
        """Let the next look wait, for the sake of what is urgent."""
        now = self._clock.monotonic()
        if now - self._room_at >= ROOM_EVERY:
            self._room_at = now

    @property
    def seconds(self) -> float:
        """Give the pause at this moment."""
        has_room = self._clock.monotonic() - self._room_at < ROOM_SECONDS
        return ROOM_SECONDS if has_room else LOOK_SHARE
