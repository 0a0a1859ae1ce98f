"""The facts that every decision needs, and the decision itself: frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

LISTED = 3


class State(Enum):
    """A plugin state; the value is its exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class StateType(Enum):
    """SOFT as long as the engine goes on trying, HARD once it believes the state."""

    SOFT = "SOFT"
    HARD = "HARD"


class Action(Enum):
    """What is to be done. The last four find out a fact that is not known yet."""

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
    REHEARSE = "rehearse"


class CommonCause(NamedTuple):
    """A failure that many endpoints of a VIP have in common, as the watcher says it.

    The automation withdraws none of these endpoints ``until`` a time, in seconds since the epoch,
    which is in ``left`` seconds. A person may see to it meanwhile.
    """

    text: str
    until: float
    left: float


class Policy(NamedTuple):
    """What the fleet file, the stop file and the engine say about one VIP on one endpoint.

    ``unwatched`` says why the engine's state of the service is out of date; it is empty where the
    state is current. ``common_cause`` is what this endpoint fails of together with many others.
    """

    stopped: bool = False
    never_withdraw: bool = False
    downtime: bool = False
    restore: str = "auto"
    hold_down: float = 60.0
    max_restores: int = 3
    unwatched: str = ""
    common_cause: CommonCause | None = None


class Decision(NamedTuple):
    """One action, the rule that asked for it, the reason, and the state that `enforce` reports.

    ``overrides`` names the rules that a person has overridden. ``unlatch`` tells that a latch has
    to be taken off, because the VIP is present although the latch is on. ``again`` is after how
    many seconds the decision is another one, though nothing else changes; 0 where nobody knows.
    """

    action: Action
    rule: str
    reason: str
    severity: State
    overrides: tuple[str, ...] = ()
    unlatch: bool = False
    again: float = 0.0


def describe_strangers(router_ids: Sequence[str]) -> str:
    """Say who else announces the VIP and is no endpoint; empty where nobody does."""
    if not router_ids:
        return ""
    which = "is no endpoint" if len(router_ids) == 1 else "are no endpoints"
    return f"also announced by {name_some(router_ids)}, which {which}"


def name_some(names: Sequence[str]) -> str:
    """Name the first few, and say how many more there are."""
    named, more = ", ".join(names[:LISTED]), len(names) - LISTED
    return f"{named} and {more} more" if more > 0 else named
