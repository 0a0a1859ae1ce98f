"""What a probe saw; nothing here judges."""

import enum
from typing import NamedTuple


class Grade(enum.Enum):
    """How the peer did."""

    RIGHT = "answered rightly"
    POOR = "answered, but not as well as it should"
    WRONG = "failed, or answered wrongly"
    SILENT = "said nothing"
    UNCLEAR = "could not be judged"


class Metric(NamedTuple):
    """A figure for the performance data, beside the two that every health check has.

    Attributes:
        label: without quotes and equals signs.
        value: None where it is not known.
        unit: of the plugin guidelines, such as "s" or "B"; empty for a plain number.
        warning: range, as typed; None for no threshold.
        critical: likewise.
        minimum: the least that is possible; None where there is none.
        maximum: likewise.
    """

    label: str
    value: float | None = None
    unit: str = ""
    warning: str | None = None
    critical: str | None = None
    minimum: float | None = None
    maximum: float | None = None


class Observation(NamedTuple):
    """What one try saw of the peer.

    Attributes:
        grade: how the peer did.
        text: for the status line: what answered, or what failed.
        seconds: from the first packet to the whole answer; None where none came.
        details: lines for -v.
        transcript: lines for -vvv.
        metrics: what the check measured besides the time.
    """

    grade: Grade
    text: str
    seconds: float | None = None
    details: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()


class Sample(NamedTuple):
    """One try of a health check.

    Attributes:
        address: which was asked: the VIP, or the instance while it is withdrawn.
        present: proven for the VIP by this very try; None where no proof was asked for.
        observation: None where the VIP is withdrawn and nothing else can be asked.
    """

    address: str
    present: bool | None
    observation: Observation | None
