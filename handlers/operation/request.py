"""What a verb wants done, and how a verb that acts decides, counts and ends."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from anycast_checks.line import clean

from ..decision.automation import decide
from ..decision.facts import Decision, Policy, State, StateType
from ..fleet.values import Endpoint, Vip

if TYPE_CHECKING:
    from ..decision.situation import Counted, Seen

# Where nobody has logged in, such as below systemd and in most containers, it is this number.
LOGIN, NO_LOGIN = "/proc/self/loginuid", 2**32 - 1


# Is told the name of each step of a run when it begins, and must not wait for anything.
Follow = Callable[[str], None]


def nobody(step: str) -> None:
    """Follow no run."""


class Case:
    """All that a verb may decide on; what is not known yet is None.

    Attributes:
        request: what is wanted, and what an engine has said.
        policy: what the fleet file, the stop file and the engine say.
        seen: what a look at the endpoint showed.
        counted: how many other endpoints announce the VIP.
        confirmed: what the endpoint's own check said just now.
        obstacle: what would keep the endpoint from being restored; empty where nothing would.
    """

    def __init__(
        self,
        request: Request,
        policy: Policy,
        seen: Seen | None = None,
        counted: Counted | None = None,
        confirmed: State | None = None,
        obstacle: str | None = None,
    ) -> None:
        self.request = request
        self.policy = policy
        self.seen = seen
        self.counted = counted
        self.confirmed = confirmed
        self.obstacle = obstacle


class Verb:
    """How a verb decides, what it wants counted, what it does about holds, and how it ends.

    Attributes:
        name: the word on the command line and in the log.
        decide: decides on what is known; the decision may be to find out more.
        by_hand: a person calls the verb, not an engine.
        decides_unseen: no connection is opened where the engine's state alone decides.
        counts_each_time: the others are counted even where nothing is to be withdrawn.
        places_hold: a withdrawn endpoint is held, so that the automation does not bring it back.
        removes_hold: a hold is removed, which gives the endpoint back to the automation.
        ends_with_severity: the exit code is the state of a plugin.
    """

    # A plain class, because creating a named tuple takes longer than the rest of this module, and
    # most calls of the handler have nothing to do.
    def __init__(
        self,
        name: str,
        decide: Callable[[Case], Decision],
        *,
        by_hand: bool = True,
        decides_unseen: bool = False,
        counts_each_time: bool = False,
        places_hold: bool = False,
        removes_hold: bool = False,
        ends_with_severity: bool = False,
    ) -> None:
        self.name = name
        self.decide = decide
        self.by_hand = by_hand
        self.decides_unseen = decides_unseen
        self.counts_each_time = counts_each_time
        self.places_hold = places_hold
        self.removes_hold = removes_hold
        self.ends_with_severity = ends_with_severity


class Request(NamedTuple):
    """What a verb wants done; state and state type come from an engine, and are None by hand."""

    verb: Verb
    vip: Vip
    endpoint: Endpoint
    state: State | None = None
    state_type: StateType | None = None
    downtime: bool = False
    unwatched: str = ""
    reason: str = ""
    dry_run: bool = False
    force: bool = False

    @property
    def failing(self) -> bool:
        """Whether the engine says CRITICAL HARD."""
        return self.state is State.CRITICAL and self.state_type is StateType.HARD


def decide_as_told(case: Case) -> Decision:
    """Decide as the automation does, on the state that an engine or the watcher has reported."""
    state, state_type = case.request.state, case.request.state_type
    assert state is not None
    assert state_type is not None
    return decide(state, state_type, case.policy, case.seen, case.counted, case.confirmed)


def signature(*, by_hand: bool) -> str:
    """Name who runs this, the person or the user, and the host."""
    return f"{person() if by_hand else user()}@{os.uname().nodename}"


def person() -> str:
    """Name the person who runs this, also behind sudo, su and runuser.

    It is no proof: who may run this may write the log. An engine or a watcher is nobody's hand,
    and yet has the login of whoever has restarted it without systemd; so only verbs for people ask.
    """
    # The kernel keeps the user of the login, whatever user its processes become later.
    with suppress(OSError, ValueError), open(LOGIN, "rb") as stream:
        login = int(stream.read())
        if login != NO_LOGIN:
            return _name(login)
    by_sudo = os.environ.get("SUDO_USER")
    return clean(by_sudo, 32) if by_sudo else user()


def user() -> str:
    """Name the user as whom this runs."""
    return _name(os.geteuid())


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
