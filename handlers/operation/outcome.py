"""What a verb wants done, what came of it, and the words for it."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from anycast_checks.line import clean

from ..decision.facts import Action, Counted, Decision, State, StateType
from ..errors import DONE, REFUSED, TRIED_AND_FAILED, HandlerError
from ..fleet.values import Endpoint, Vip

if TYPE_CHECKING:
    from ..endpoint.look import Look
    from ..endpoint.site import Step


class Request(NamedTuple):
    """What a verb wants done; state and state type are an engine's, None for a person."""

    verb: str
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
    def by_hand(self) -> bool:
        """Whether a person asks, not an engine."""
        return self.state is None

    @property
    def failing(self) -> bool:
        """Whether the engine says CRITICAL HARD."""
        return self.state is State.CRITICAL and self.state_type is StateType.HARD


class Outcome:
    """What came of a request.

    ``severity`` is the state that `enforce` reports and exits with, ``exit`` the exit code of
    every other verb; ``announced_before`` is what the decision was made on.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.decision: Decision | None = None
        self.text = ""
        self.exit = DONE
        self.severity = State.UNKNOWN
        self.look: Look | None = None
        self.announced_before: bool | None = None
        self.counted: Counted | None = None
        self.check_said = ""
        self.steps: list[Step] = []
        self.verified: dict[str, bool] = {}
        self.notes: list[str] = []
        self.timings: list[tuple[str, float]] = []

    @property
    def announced(self) -> bool | None:
        """Whether the VIP was announced at the last look; None where nobody could look."""
        return self.look.announced if self.look else None

    @property
    def exit_code(self) -> int:
        """The exit code of the request's verb."""
        return self.severity.value if self.request.verb == "enforce" else self.exit

    @property
    def line(self) -> str:
        """One line for people: what came of it, and what else they should know."""
        return "; ".join([self.text, *self.notes])

    def conclude(self, decision: Decision) -> None:
        """End without an act."""
        self.decision = decision
        said = f" ({self.check_said})" if self.check_said else ""
        what = f"{_condition(self.look)}: {decision.reason}{said}{_origin(self.look)}"
        self._say(what, REFUSED if decision.action is Action.REFUSE else DONE, decision.severity)

    def would_run(self) -> None:
        """End a dry run."""
        assert self.decision is not None
        commands = "; then, if need be: ".join(" ".join(step.argv) for step in self.steps)
        self._say(f"would run: {commands}", DONE, self.decision.severity)

    def done(self, what: str, severity: State) -> None:
        """End with an act that worked."""
        assert self.decision is not None
        for failed in (step for step in self.steps if step.status != 0):
            self.note(f"{' '.join(failed.argv)}: {failed.said or failed.status}")
        if self.request.by_hand:
            why = (self.decision.reason, self.request.reason, self.check_said)
            self._say(f"{what}, {': '.join(filter(None, why))}", DONE, severity)
        else:
            self._say(f"{what}: {self.check_said}", DONE, severity)

    def refuse(self, what: str) -> None:
        """End with an act that was taken back."""
        self._say(what, REFUSED, State.CRITICAL)

    def acted_in_vain(self, what: str) -> None:
        """End with an act that did not work, or not wholly."""
        self._say(what, TRIED_AND_FAILED, State.CRITICAL)

    def failed(self, error: HandlerError) -> None:
        """End because we could not do something."""
        severity = State.UNKNOWN
        if error.exit_code == REFUSED:
            severity = State.CRITICAL if self.request.failing else State.WARNING
        elif self.steps and self.request.failing:
            severity = State.CRITICAL
        self.text = f"{self.request.endpoint.name}: {error}"
        self.exit = error.exit_code
        self.severity = severity

    def interrupted(self, error: BaseException) -> None:
        """End in the middle of an act."""
        self._say(f"interrupted: {error or type(error).__name__}", TRIED_AND_FAILED, State.UNKNOWN)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Put down how many seconds a step takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings.append((step, time.monotonic() - began))

    def note(self, trouble: str) -> None:
        """Add what stood in the way without stopping anything; empty text adds nothing."""
        if trouble and trouble not in self.notes:
            self.notes.append(trouble)

    def _say(self, what: str, exit_code: int, severity: State) -> None:
        self.text = f"{self.request.endpoint.name}: {self.request.vip.address} {what}"
        self.exit = exit_code
        self.severity = severity

    def entry(self) -> dict[str, Any]:
        """Give the fields of the log of decisions."""
        request, decision = self.request, self.decision
        return {
            "vip": request.vip.name,
            "endpoint": request.endpoint.name,
            "verb": request.verb,
            "user": user(),
            "state": request.state.name if request.state else None,
            "state_type": request.state_type.value if request.state_type else None,
            "announced": self.announced_before,
            "others": self.counted.others if self.counted else None,
            "floor": self.counted.floor if self.counted else None,
            "rule": decision.rule if decision else "error",
            "action": (decision.action if decision else Action.NOTHING).value,
            "reason": "; ".join(
                filter(None, (decision.reason if decision else self.text, request.reason))
            ),
            "severity": self.severity.name,
            "commands": [
                {
                    "at": round(s.at, 3),
                    "argv": list(s.argv),
                    "status": s.status,
                    "said": clean(s.said),
                }
                for s in self.steps
            ],
            "verified": self.verified or None,
            "timings": {step: round(seconds, 3) for step, seconds in self.timings},
            "exit": self.exit_code,
            "text": clean(self.line, 900),
        }


def signature() -> str:
    """Name who runs this, and where."""
    return f"{user()}@{os.uname().nodename}"


def user() -> str:
    """Name who runs this: the person behind sudo where there is one."""
    by_sudo = os.environ.get("SUDO_USER")
    if by_sudo and os.geteuid() == 0:
        return clean(by_sudo, 32)
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def age(seconds: float) -> str:
    """Say how long something takes or is ago, as people do."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _condition(look: Look | None) -> str:
    if look is None:
        return "not looked at"
    if look.announced:
        return "announced"
    return "withdrawn" if look.latch_age is None else f"withdrawn {age(look.latch_age)} ago"


def _origin(look: Look | None) -> str:
    # Last in the line, since it is what may be cut off.
    if look is None or look.announced or look.latch_age is None:
        return ""
    why = f": {clean(look.latch.reason, 80)}" if look.latch.reason else ""
    return f" (by {clean(look.latch.by, 40)}{why})"
