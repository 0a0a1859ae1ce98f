"""What is known of one run of a check while it goes on; standard library only."""

ANYCAST = "ANYCAST"
DEADLINE = 10.0


class CheckRun:
    """What the status line of a run that ends early has to say, kept up to date by the run itself.

    Attributes:
        name: the first word of the status line.
        stage: what the run is doing now, to be read after "while".
        perfdata: the performance data of a run that cannot tell.
    """

    def __init__(self) -> None:
        self.name = ANYCAST
        self.stage = "starting"
        self.perfdata = ""

    def limit(self, deadline: float) -> None:
        """Take the time limit of the run, in seconds since it began; nothing here enforces it."""
