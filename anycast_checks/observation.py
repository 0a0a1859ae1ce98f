"""What a probe saw, as values; `verdict` judges them."""

import enum
from typing import NamedTuple


class Grade(enum.Enum):
    """How well the peer answered."""

    RIGHT = "answered rightly"
    POOR = "answered, but not as well as it should"
    WRONG = "failed, or answered wrongly"
    REFUSED = "is not there: the kernel says that nobody listens"
    SILENT = "said nothing"
    UNCLEAR = "could not be judged"


class Metric(NamedTuple):
    """A figure for the performance data, besides the two that every health check has.

    Attributes:
        label: name of the figure, without quotes and equals signs.
        value: None where the figure is not known.
        unit: a unit of the plugin guidelines, such as "s" or "B"; empty for a plain number.
        warning: range beyond which the state is WARNING, as typed; None for no threshold.
        critical: range beyond which the state is CRITICAL, as typed; None for no threshold.
        minimum: least possible value; None where there is none.
        maximum: largest possible value; None where there is none.
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
        grade: how well the peer answered.
        text: words for the status line: what answered, or what failed.
        seconds: time from the first packet to the whole answer; None where no answer came.
        details: lines that -v shows.
        transcript: lines that -vvv shows.
        metrics: figures that the check measured besides the time.
        parts: lines that are always shown, of a try that has asked several questions.
    """

    grade: Grade
    text: str
    seconds: float | None = None
    details: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    parts: tuple[str, ...] = ()


class Sample(NamedTuple):
    """One try of a health check.

    Attributes:
        address: the address that was asked: the VIP, or the instance while the VIP is absent.
        present: whether the VIP is on this host, as this try has proven; None without a proof.
        observation: None where the VIP is absent and no other address can be asked.
        draining: whether the host still answers for the absent VIP, for those who come late.
    """

    address: str
    present: bool | None
    observation: Observation | None
    draining: bool = False
