"""The state of one run of a check; this module needs the standard library only."""

ANYCAST = "ANYCAST"
DEADLINE = 10.0


class CheckRun:
    """What the status line must say if this run ends early; the run itself keeps it up to date.

    Attributes:
        name: the first word of the status line.
        stage: what the run is doing now, in words that fit behind "while".
        perfdata: the performance data of an UNKNOWN.
    """

    def __init__(self) -> None:
        self.name = ANYCAST
        self.stage = "starting"
        self.perfdata = ""

    def limit(self, deadline: float) -> None:
        """Set the time limit, in seconds since the run began; only a subclass enforces it."""

    def go_on(self) -> None:
        """Take the time limit away, because the run goes on until somebody ends it."""
