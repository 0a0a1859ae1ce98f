"""How often the watcher looks at each endpoint."""

from __future__ import annotations

from ..transport.clock import Clock

# Each endpoint is looked at so often, as the engine's control service does; where there are many,
# more rarely, so that all looks together keep to a share of the time.
LOOK_SECONDS, LOOK_SHARE = 60.0, 0.1
# When an endpoint begins to be acted on, or to be asked ahead, the next look waits so long. It does
# so at most once in a while: one that fails again and again must not keep the others unseen.
ROOM_SECONDS, ROOM_EVERY = 2.0, 4.0


# A look that was due twice and did not come is one that fails, whatever the reason.
MISSED_LOOKS = 3


def longest_known(targets: int) -> float:
    """Give for how many seconds the findings of a look hold, of so many targets."""
    return MISSED_LOOKS * look_pace(targets)


def look_pace(targets: int) -> float:
    """Give the seconds between two looks at an endpoint, of so many targets."""
    return max(LOOK_SECONDS, targets * LOOK_SHARE)


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
