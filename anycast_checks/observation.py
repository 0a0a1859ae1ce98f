"""What a probe saw; nothing here judges."""

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """How the peer did."""

    RIGHT = "answered rightly"
    WRONG = "failed, or answered wrongly"
    SILENT = "said nothing"


@dataclass(frozen=True)
class Observation:
    """What one try saw of the peer.

    Attributes:
        outcome: how the peer did.
        text: for the status line: what answered, or what failed.
        seconds: from the first packet to the whole answer; None where none came.
        details: lines for -v.
        transcript: lines for -vvv.
    """

    outcome: Outcome
    text: str
    seconds: float | None = None
    details: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One try of a health check.

    Attributes:
        address: which was asked: the VIP, or the instance while it is withdrawn.
        announced: proven for the VIP by this very try; None where no proof was asked for.
        observation: None where the VIP is withdrawn and nothing else can be asked.
    """

    address: str
    announced: bool | None
    observation: Observation | None
