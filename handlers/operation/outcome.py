"""The outcome of a request: what was done, and the words for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anycast_checks.line import clean
from anycast_checks.times import lasting

from ..decision.facts import Action, Decision, State, describe_strangers
from ..endpoint.mask import FAILED as MASKS
from ..errors import DONE, REFUSED, TRIED_AND_FAILED, HandlerError
from ..transport.clock import Clock
from .request import Follow, Request, nobody, person, user

if TYPE_CHECKING:
    from ..decision.situation import Counted
    from ..endpoint.look import Look
    from ..endpoint.site import Step

# A longer name would leave no room for what the line says; engines name the endpoint themselves.
LONGEST_NAME = 40
# Stands between the commands of a dry run, of which one is tried after the other.
ELSE = "; else "


class Outcome:
    """The outcome of a request, which a run fills in as it goes on.

    ``severity`` is the state that `enforce` reports and exits with, ``exit`` the exit code of
    every other verb. ``present_before`` tells whether the VIP was present at the first look, on
    whatever interface.
    """

    def __init__(self, request: Request, clock: Clock, follow: Follow = nobody) -> None:
        self.request = request
        self._follow = follow
        self._clock = clock
        self.decision: Decision | None = None
        self._has_failed = False
        self.text = ""
        self.exit = DONE
        self.severity = State.UNKNOWN
        self.look: Look | None = None
        self.present_before: bool | None = None
        self._counted: Counted | None = None
        self.check_said = ""
        self.steps: list[Step] = []
        self._verified: dict[str, bool] = {}
        self.notes: list[str] = []
        self.timings: list[tuple[str, float]] = []

    @property
    def present(self) -> bool | None:
        """Whether any interface had the VIP at the last look; None where there was no look."""
        return self.look.present if self.look else None

    @property
    def count(self) -> Counted | None:
        """What was counted last, before an act; None where nobody has counted."""
        return self._counted

    @property
    def has_acted(self) -> bool:
        """Whether an act was made, and worked."""
        return bool(self._verified) and self.exit == DONE

    @property
    def exit_code(self) -> int:
        """The exit code of the request's verb."""
        return self.severity.value if self.request.verb.ends_with_severity else self.exit

    @property
    def line(self) -> str:
        """One line for people: what was done, and what else they should know."""
        return "; ".join([self.text, *self.notes])

    def looked(self, look: Look) -> None:
        """Record what the first look has shown."""
        self.look = look
        self.present_before = self.present
        self.note(look.trouble)

    def counted(self, counted: Counted) -> None:
        """Record how many others announce the VIP, and whether the endpoint itself does."""
        self._counted = counted

    def confirmed(self, said: str) -> None:
        """Record what the endpoint's own check said."""
        self.check_said = said

    def acted(self, after: Look, *, address: bool) -> None:
        """Record the look after an act, and whether the address is where it should be."""
        self.look = after
        self._verified["address"] = address

    def verify(self, what: str, found: bool | None) -> None:  # noqa: FBT001 - it is no switch
        """Record whether something is as it should be after an act; None where it is unknown."""
        if found is not None:
            self._verified[what] = found

    def decided(self, decision: Decision) -> None:
        """Record what was decided."""
        self.decision = decision

    def conclude(self, decision: Decision) -> None:
        """End without an act."""
        self.decided(decision)
        said = f" ({self.check_said})" if self.check_said else ""
        condition = _condition(self.look, self._counted)
        what = f"{condition}: {decision.reason}{said}{_origin(self.look)}"
        self._say(what, REFUSED if decision.action is Action.REFUSE else DONE, decision.severity)

    def would_run(self) -> None:
        """End a dry run."""
        assert self.decision is not None
        commands = ELSE.join(" ".join(step.argv) for step in self.steps)
        overriding = f" ({self.decision.reason})" if self.decision.overrides else ""
        self._say(f"would run: {commands}{overriding}", DONE, self.decision.severity)

    def done(self, what: str, severity: State) -> None:
        """End with an act that worked."""
        assert self.decision is not None
        for failed in self._failed_for_good():
            self.note(f"{' '.join(failed.argv)}: {failed.said or failed.status}")
        if self.request.verb.by_hand:
            why = (self.decision.reason, self.request.reason, self.check_said)
            self._say(f"{what}, {': '.join(filter(None, why))}", DONE, severity)
        else:
            self._say(f"{what}: {self.check_said}", DONE, severity)

    def _failed_for_good(self) -> Iterator[Step]:
        """Give the commands that failed, and did not work when they were run once more.

        What became of a mask is a note already.
        """
        for number, step in enumerate(self.steps):
            again = (one for one in self.steps[number:] if one.argv == step.argv)
            if step.argv[0] not in MASKS and not any(one.status == 0 for one in again):
                yield step

    def refuse(self, what: str) -> None:
        """End with an act that was taken back."""
        self._say(what, REFUSED, State.CRITICAL)

    def acted_in_vain(self, what: str) -> None:
        """End with an act that did not work, or not wholly."""
        self._say(what, TRIED_AND_FAILED, State.CRITICAL)

    def failed(self, error: HandlerError) -> None:
        """End because something could not be done."""
        severity = State.UNKNOWN
        if error.exit_code == REFUSED:
            severity = State.CRITICAL if self.request.failing else State.WARNING
        elif self.steps and self.request.failing:
            severity = State.CRITICAL
        self.text = f"{self._name}: {error}"
        self._has_failed = True
        self.exit = error.exit_code
        self.severity = severity

    def interrupted(self, error: BaseException) -> None:
        """End in the middle of an act."""
        self._has_failed = True
        self._say(f"interrupted: {error or type(error).__name__}", TRIED_AND_FAILED, State.UNKNOWN)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Record how many seconds a step takes."""
        self._follow(step)
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self.timings.append((step, self._clock.monotonic() - began))

    def note(self, trouble: str) -> None:
        """Add something that went wrong without ending the run; an empty text adds nothing."""
        if trouble and trouble not in self.notes:
            self.notes.append(trouble)

    @property
    def _beside(self) -> str:
        strangers = describe_strangers(self._counted.strangers) if self._counted else ""
        return f"; {strangers}" if strangers else ""

    @property
    def _name(self) -> str:
        return clean(self.request.endpoint.name, LONGEST_NAME)

    def _say(self, what: str, exit_code: int, severity: State) -> None:
        self.text = f"{self._name}: {self.request.vip.address} {what}{self._beside}"
        self.exit = exit_code
        self.severity = severity

    def entry(self) -> dict[str, Any]:
        """Give the fields of the log of decisions."""
        request, decision = self.request, self.decision
        return {
            "vip": request.vip.name,
            "endpoint": request.endpoint.name,
            "verb": request.verb.name,
            "user": person() if request.verb.by_hand else user(),
            "dry_run": request.dry_run,
            "state": request.state.name if request.state else None,
            "state_type": request.state_type.value if request.state_type else None,
            "present": self.present_before,
            "afterwards": self.present,
            "announced": self._counted.announced if self._counted else None,
            "others": self._counted.others if self._counted else None,
            "floor": self._counted.floor if self._counted else None,
            "rule": decision.rule if decision and not self._has_failed else "error",
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
            "verified": self._verified or None,
            "timings": {step: round(seconds, 3) for step, seconds in self.timings},
            "exit": self.exit_code,
            "text": clean(self.line, 900),
        }


def _condition(look: Look | None, counted: Counted | None) -> str:
    if look is None:
        return "not looked at"
    if look.present:
        # Only the routing daemon knows whether it is announced.
        return "announced" if counted and counted.announced else "present"
    return "withdrawn" if look.latch_age is None else f"withdrawn {lasting(look.latch_age)} ago"


def _origin(look: Look | None) -> str:
    # The user and the reason come last, because the end of a long line is cut off.
    if look is None or look.present or look.latch_age is None:
        return ""
    why = f": {clean(look.latch.reason, 80)}" if look.latch.reason else ""
    return f" (by {clean(look.latch.by, 40)}{why})"
