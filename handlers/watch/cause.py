"""One cause, many victims: more than half of a VIP's endpoints that begin to fail alike; pure."""

from __future__ import annotations

from typing import NamedTuple

# Endpoints that begin to fail within so many seconds of one another.
TOGETHER_SECONDS = 10.0


class Cause(NamedTuple):
    """A failure that many endpoints of a VIP have in common.

    Attributes:
        kind: in what way they fail.
        endpoints: the names of those that fail.
        since: when the first of them began to fail, by the clock of whoever heard.
        of: how many endpoints the VIP has.
    """

    kind: str
    endpoints: tuple[str, ...]
    since: float
    of: int

    def say(self) -> str:
        """Put it into words."""
        failing = len(self.endpoints)
        named = ", ".join(self.endpoints[:3]) + (", ..." if failing > 3 else "")
        return (
            f"{failing} of {self.of} endpoints began to fail in the same way ({self.kind}) within"
            f" {TOGETHER_SECONDS:.0f} s: {named}: is it the zone, an upstream, or the check itself?"
        )


class Failing(NamedTuple):
    """An endpoint that fails: since when, and in what way."""

    endpoint: str
    since: float
    kind: str


def common_cause(failing: list[Failing], of: int) -> Cause | None:
    """Find what more than half of the endpoints fail of since the same moment.

    Args:
        failing: the endpoints that fail, those that were withdrawn since included.
        of: how many endpoints the VIP has.
    """
    for kind in sorted({one.kind for one in failing}):
        alike = sorted((one.since, one.endpoint) for one in failing if one.kind == kind)
        for number, (since, _) in enumerate(alike):
            within = [name for at, name in alike[number:] if at - since <= TOGETHER_SECONDS]
            if 2 * len(within) > of and len(within) > 1:
                return Cause(kind, tuple(within), since, of)
    return None
