"""One change of an endpoint: what the helper there is asked to do, and what it has answered.

The helper compares what was decided on with what is so when it acts, and changes nothing where the
two differ, or where the request comes late. So a change takes effect in time, or never.
"""

from __future__ import annotations

import shlex
from enum import Enum
from typing import NamedTuple

from anycast_checks.addresses import Addresses

from ..errors import (
    ActedTooLateError,
    ChangedMeanwhileError,
    CommandFailedError,
    GateRefusedError,
    HandlerError,
)
from ..fleet.values import Vip
from ..transport.refusal import is_refused
from ..transport.shell import Argv, Result
from .latch import hold_path, latch_path
from .look import Look, read_addresses
from .mask import MASK_SECONDS, Done, Mask

HELPER = "/usr/local/sbin/anycast-act"
# Seconds for which the helper may be late: sudo, a lock, the time between two changes.
LATE_SECONDS = 5.0
# A note alone needs no sudo, and does not wait for the change before it.
NOTE_LATE_SECONDS = 2.0
# Seconds that the helper gives a note, and all commands together.
NOTE_SECONDS = 1.0
TRIES_SECONDS = 6.0
# Fewer seconds are too few: for a command, and for sudo and a change before this one.
TRY_SECONDS = 1.0
LEAST_LATE_SECONDS = 1.0
LATCH, HOLD = "latch", "hold"


class How(Enum):
    """How a note is changed; the value is the word in a request.

    What is to be recorded has to be, or nothing else is done. What settles a matter is removed
    where it cannot be written.
    """

    WRITE = "write"
    RECORD = "record"
    SETTLE = "settle"
    REMOVE = "remove"


class Note(NamedTuple):
    """What is to be done with a note, which is LATCH or HOLD, and its new text if it has one."""

    name: str
    how: How
    text: str = ""

    def path(self, vip: Vip) -> str:
        """Name the note's file."""
        return (latch_path if self.name == LATCH else hold_path)(vip.address)

    @property
    def line(self) -> str:
        """Write the line of the request."""
        return f"{self.how.value} {self.name} {self.text}".rstrip()


class Change(NamedTuple):
    """What is to be done on an endpoint, and the look that it was decided on.

    Attributes:
        look: what the decision was made on.
        before: notes that are written first.
        tries: commands that add or delete the address, tried until one has worked.
        after: notes that are written once a command has worked.
        late: for how many seconds it may be begun.
        budget: the seconds for all commands together.
        mask: the mask that is put on.
        unmask: whose mask is taken off before anything else is done; empty for none.
        drain: for how many seconds the endpoint may go on answering on the VIP, by a route that
            is added first; 0 for no such route.
        undrain: whether that route is taken away, which comes last.
        decided: from when on, in seconds of this host's monotonic clock; None for when it is sent.
    """

    look: Look
    before: tuple[Note, ...] = ()
    tries: tuple[Argv, ...] = ()
    after: tuple[Note, ...] = ()
    late: float = LATE_SECONDS
    budget: float = TRIES_SECONDS
    decided: float | None = None
    mask: Mask | None = None
    unmask: str = ""
    drain: int = 0
    undrain: bool = False

    @property
    def needs_root(self) -> bool:
        """Whether it changes more than notes, which belong to the account."""
        return bool(self.tries or self.mask or self.unmask or self.drain or self.undrain)

    @property
    def notes_seconds(self) -> float:
        """Give the seconds that notes and masks take at most."""
        masks = bool(self.mask) + self._masks_last + bool(self.unmask)
        return NOTE_SECONDS * (len(self.before) + len(self.after)) + MASK_SECONDS * masks

    @property
    def seconds(self) -> float:
        """Give the seconds after which it has ended or can no longer take effect."""
        return self.late + self.notes_seconds + (self.budget if self.tries else 0.0)

    def within(self, seconds: float) -> Change | None:
        """Make it a change of so many seconds; None where these are too few."""
        least = TRY_SECONDS * len(self.tries) * (2 if self._masks_last else 1)
        room = seconds - self.notes_seconds - LEAST_LATE_SECONDS
        if room < least:
            return None
        budget = min(self.budget, max(least, room - self.late))
        return self._replace(budget=budget, late=min(self.late, LEAST_LATE_SECONDS + room - budget))

    @property
    def _masks_last(self) -> bool:
        return self.mask is not None and self.mask.last

    def request(self, now: float) -> str:
        """Write what the helper reads; ``now`` is this host's monotonic time."""
        look = self.look
        # The time since the look was heard of is less than the endpoint's own, so that the change
        # expires early rather than late.
        since = now if self.decided is None else self.decided
        expires = int((look.uptime + since - look.heard + self.late) * 100)
        mask = [f"mask {self.mask.by}"] if self.mask else []
        tries = [f"try {shlex.join(argv)}" for argv in self.tries]
        # A manager that starts again between the two brings the VIP back before it is masked.
        first, last = ([], [*mask, *tries, *mask]) if self._masks_last else (mask, [])
        lines = [
            f"address {look.vip.address} {look.vip.placement.interface}",
            f"expires {expires}",
            f"seconds {int(self.budget * 100)}",
            f"boot {look.boot_id}",
            f"present {'yes' if look.present else 'no'}",
            f"hold {look.hold_mark}",
            f"latch {look.latch_mark}",
            *(note.line for note in self.before),
            *([f"unmask {self.unmask}"] if self.unmask else []),
            *first,
            *([f"drain {self.drain}"] if self.drain else []),
            *tries,
            *last,
            *(note.line for note in self.after),
            *(["undrain"] if self.undrain else []),
            "end",
        ]
        return "\n".join(lines) + "\n"


class Report(NamedTuple):
    """What the helper has answered.

    Attributes:
        before: the addresses of the endpoint directly before the change.
        after: the addresses directly after it.
        done: what was done, in this order.
        trouble: what went wrong without keeping the change from being made.
    """

    before: Addresses
    after: Addresses
    done: tuple[Done, ...] = ()
    trouble: str = ""


def failed_notes(vip: Vip, report: Report) -> str:
    """Say which notes of a change could not be written or removed; empty where all could."""
    said = []
    for done in report.done:
        how = _how(done)
        if how and done.status != 0:
            what = "removed" if how is How.REMOVE else "written"
            said.append(f"{Note(done.words[1], how).path(vip)} could not be {what}: {done.said}")
    return "; ".join(said)


def _how(done: Done) -> How | None:
    is_note = len(done.words) == 2 and done.words[0] in {how.value for how in How}
    return How(done.words[0]) if is_note else None


def read_report(argv: Argv, ended: Result) -> Report:
    """Read what the helper has answered.

    Raises:
        ChangedMeanwhileError: something is not as it was when this was decided; nothing was done.
        ActedTooLateError: the helper was begun too late; nothing was done.
        GateRefusedError: the helper is not allowed to do it; nothing was done.
        CommandFailedError: the answer makes no sense.
    """
    if is_refused(ended):
        raise GateRefusedError(argv)
    done: list[Done] = []
    said: dict[str, str] = {}
    for line in ended.stdout.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "changed":
            raise _meanwhile(rest)
        if word == "did":
            done.append(_read_done(rest))
        elif word == "said" and done:
            done[-1] = done[-1]._replace(said=rest.strip())
        else:
            said[word] = rest
    if ended.status not in (0, 1) or "before" not in said:
        raise CommandFailedError(argv, ended.status, ended.stderr or "its answer makes no sense")
    before = read_addresses(Result(0, said["before"], ""))
    after = read_addresses(Result(0, said["after"], "")) if "after" in said else before
    return Report(before, after, tuple(done), said.get("trouble", ""))


def _meanwhile(what: str) -> HandlerError:
    if what == "expired":
        return ActedTooLateError(f"nothing was done: {HELPER} was begun too late on the endpoint")
    return ChangedMeanwhileError(what)


def _read_done(rest: str) -> Done:
    try:
        status, age, words = rest.split(" ", 2)
        return Done(tuple(shlex.split(words)), int(status[:9]), "", int(age[:9]) / 100)
    except ValueError as error:
        raise CommandFailedError((HELPER,), 0, f"its answer makes no sense: {error}") from error
