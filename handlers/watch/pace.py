"""How often the watcher looks at each endpoint."""

from __future__ import annotations

# Each endpoint is looked at so often, as the engine's control service does; where there are many,
# more rarely, so that all looks together keep to a share of the time.
LOOK_SECONDS, LOOK_SHARE = 60.0, 0.1
# While an endpoint is acted on, or is about to be, looks at others wait so long instead.
BUSY_SHARE = 2.0


def look_pace(targets: int) -> float:
    """Give the seconds between two looks at an endpoint, of so many targets."""
    return max(LOOK_SECONDS, targets * LOOK_SHARE)
