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


class Policy(NamedTuple):
    """What the fleet file, the stop file and the engine say.

    ``unwatched`` says why the state that the engine has of the service is out of date; empty where
    it is not.
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
