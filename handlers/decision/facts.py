"""What a decision is made on, and what it is: frozen values, without any third party."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """A plugin state; the value is its exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class StateType(Enum):
    """Whether the engine is still counting attempts."""

    SOFT = "SOFT"
    HARD = "HARD"


class Action(Enum):
    """What follows. LOOK, COUNT and CONFIRM ask for something that is not known yet."""

    NOTHING = "nothing"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    RESTORE = "restore"
    UNLATCH = "unlatch"
    HOLD = "hold"
    RELEASE = "release"
    LOOK = "look"
    COUNT = "count"
    CONFIRM = "confirm"


class Held(NamedTuple):
    """A hold that is on the endpoint; ``announced`` is what the VIP was when it was placed.

    ``unreadable`` is what may be none, but has to be taken for one.
    """

    by: str = ""
    reason: str = ""
    announced: bool = True
    expired: bool = False
    unreadable: bool = False

    def __str__(self) -> str:
        """Say who and why."""
        return f"held by {self.by}" + (f" ({self.reason})" if self.reason else "")


class Seen(NamedTuple):
    """What a look at the endpoint showed; counts are of the last day, ages in seconds.

    ``latch_age`` is None where no latch of this boot is on, ``held`` where there is no hold.
    ``elsewhere`` names other interfaces that carry the VIP. ``hold_unknown`` is where it cannot be
    told whether there is a hold.
    """

    announced: bool
    latch_age: float | None = None
    withdrawals: int = 0
    restores: int = 0
    held: Held | None = None
    elsewhere: str = ""
    hold_unknown: bool = False

    @property
    def may_be_held(self) -> bool:
        """Whether there is a hold, for all that is known."""
        return self.held is not None or self.hold_unknown


class Counted(NamedTuple):
    """How many *other* endpoints announce the VIP, of how many endpoints there are in all.

    ``others`` is None where it cannot be told, and ``trouble`` says why; ``spacing_left`` are the
    seconds in which nothing more of this VIP may be withdrawn by the automation.
    """

    others: int | None
    floor: int
    endpoints: int
    trouble: str = ""
    spacing_left: float = 0.0


class Policy(NamedTuple):
    """What the fleet file, the stop file and the engine say.

    ``unwatched`` says why the engine's state of the service is none of now.
    """

    stopped: bool = False
    never_withdraw: bool = False
    downtime: bool = False
    restore: str = "auto"
    hold_down: float = 60.0
    max_restores: int = 3
    unwatched: str = ""


class Decision(NamedTuple):
    """One action, the rule that asked for it, its reason in words, and `enforce`'s state."""

    action: Action
    rule: str
    reason: str
    severity: State
