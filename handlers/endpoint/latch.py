"""Latch and hold: the notes on an endpoint, one of the suite's and one of a person's.

Two files, because they have two writers. They are on the endpoint, so that every monitoring host,
and a person on the box, sees the same truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from .numbers import time

DIRECTORY = "/var/lib/anycast"
DAY = 86400
# For so long a withdrawal that was taken back counts against the next one of the automation.
DAMPED_SECONDS = 600
MOST_REMEMBERED = 50
LONGEST_TEXT = 300


def latch_path(address: str) -> str:
    """Name the latch file of a VIP on its endpoint."""
    return f"{DIRECTORY}/{address}.latch.json"


def hold_path(address: str) -> str:
    """Name the hold file of a VIP on its endpoint."""
    return f"{DIRECTORY}/{address}.hold.json"


@dataclass(frozen=True)
class Latch:
    """What the latch file of one VIP says; it counts only in the boot that wrote it.

    ``since`` is the endpoint's uptime in seconds, None once the latch is off. ``withdrawals``,
    ``restores`` (automatic ones) and ``take_backs`` are seconds since the epoch by the endpoint's
    own clock; they outlive the latch, and a day ends their memory, of take-backs ten minutes.
    """

    since: float | None = None
    boot_id: str = ""
    by: str = ""
    reason: str = ""
    withdrawals: tuple[int, ...] = ()
    restores: tuple[int, ...] = ()
    take_backs: tuple[int, ...] = ()

    def is_on(self, boot_id: str, uptime: float) -> bool:
        """Whether the suite withdrew the VIP in this boot."""
        # A container that was started anew has the boot id of its host, and an uptime of its own.
        return self.since is not None and self.boot_id == boot_id and self.since <= uptime

    def put_on(self, *, uptime: float, clock: int, boot_id: str, by: str, reason: str) -> Latch:
        """Note a withdrawal.

        A latch that is on already belongs to the same withdrawal, which was cut short.
        """
        again = self.is_on(boot_id, uptime)
        return Latch(
            since=uptime,
            boot_id=boot_id,
            by=by,
            reason=reason,
            withdrawals=_recent(self.withdrawals if again else (*self.withdrawals, clock), clock),
            restores=_recent(self.restores, clock),
            take_backs=_recent(self.take_backs, clock, DAMPED_SECONDS),
        )

    def take_off(self) -> Latch:
        """Forget the withdrawal, but not how many there were."""
        return replace(self, since=None, by="", reason="")

    def restored(
        self, *, clock: int, boot_id: str, automatic: bool, still_on: bool = False
    ) -> Latch:
        """Note a restore; only automatic restores are counted.

        An automatic restore is noted before it is made, while the latch is ``still_on``.
        """
        restores = (*self.restores, clock) if automatic else self.restores
        return replace(
            self if still_on else self.take_off(),
            boot_id=boot_id,
            restores=_recent(restores, clock),
        )

    def taken_back(self, *, clock: int, boot_id: str) -> Latch:
        """Note that a withdrawal was taken back; such a restore is none of the automatic ones."""
        latch = self.restored(clock=clock, boot_id=boot_id, automatic=False)
        times = (*self.take_backs, clock)
        return replace(latch, take_backs=_recent(times, clock, DAMPED_SECONDS))

    def within_a_day(self, clock: int) -> tuple[int, int]:
        """Count the withdrawals and the automatic restores of the last day."""
        return len(_recent(self.withdrawals, clock)), len(_recent(self.restores, clock))

    def lately_taken_back(self, clock: int) -> int:
        """Count the withdrawals that were taken back within the last ten minutes."""
        return len(_recent(self.take_backs, clock, DAMPED_SECONDS))

    def render(self) -> str:
        """Write the file's text."""
        document: dict[str, Any] = {"boot_id": self.boot_id}
        if self.since is not None:
            document["since"] = round(self.since, 2)
            document["by"] = self.by
            document["reason"] = self.reason
        document["withdrawals"] = list(self.withdrawals)
        document["restores"] = list(self.restores)
        document["take_backs"] = list(self.take_backs)
        return json.dumps(document, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Hold:
    """A person's order to leave the endpoint alone; times by the endpoint's own clock.

    ``present`` (``announced`` in the file) is whether the VIP was there when the hold was placed: a
    hold on a withdrawn endpoint does not protect it once something has brought the VIP back.
    ``uptime`` is that of the boot ``boot_id`` at that moment: in the same boot it tells how much of
    the hold is over, so that a clock that is set does not move the end.
    """

    since: int
    until: int | None
    by: str
    reason: str
    present: bool
    boot_id: str = ""
    uptime: float | None = None

    def left(self, *, clock: int, boot_id: str, uptime: float) -> float | None:
        """Give the seconds until the hold ends, not above zero where it has; None without an end.

        After another boot only the clock can tell.
        """
        if self.until is None:
            return None
        if self.uptime is not None and self.boot_id == boot_id and uptime >= self.uptime:
            return self.until - self.since - (uptime - self.uptime)
        return self.until - clock

    def has_expired(self, clock: int, boot_id: str = "", uptime: float = 0.0) -> bool:
        """Whether the hold has ended; a hold without an end never has."""
        left = self.left(clock=clock, boot_id=boot_id, uptime=uptime)
        return left is not None and left <= 0

    def render(self) -> str:
        """Write the file's text."""
        fields = self.document()
        if self.uptime is not None:
            fields |= {"boot_id": self.boot_id, "uptime": round(self.uptime, 2)}
        return json.dumps(fields, sort_keys=True) + "\n"

    def document(self) -> dict[str, Any]:
        """Give the fields that are public."""
        return {
            "since": self.since,
            "until": self.until,
            "by": self.by,
            "reason": self.reason,
            "announced": self.present,
        }


# Somebody has written something into the hold file: until it can be read, it counts as an order to
# leave the endpoint alone.
UNREADABLE_HOLD = Hold(0, None, "somebody", "the hold file cannot be read", present=True)


def parse_hold(text: str) -> Hold:
    """Read the hold file's text; a text that is not a hold counts as one nevertheless."""
    try:
        document = _document(text)
        until, uptime = document.get("until"), document.get("uptime")
        return Hold(
            since=int(time(document["since"])),
            until=None if until is None else int(time(until)),
            by=_text(document["by"]),
            reason=_text(document["reason"]),
            present=document["announced"] is not False,
            boot_id="" if uptime is None else _text(document.get("boot_id", "")),
            uptime=None if uptime is None else round(time(uptime), 2),
        )
    except (ValueError, KeyError):
        return UNREADABLE_HOLD


def parse(text: str) -> Latch:
    """Read the latch file's text.

    Raises:
        ValueError: it is not a latch.
    """
    document = _document(text)
    since = document.get("since")
    return Latch(
        since=None if since is None else time(since),
        boot_id=_text(document.get("boot_id", "")),
        by=_text(document.get("by", "")),
        reason=_text(document.get("reason", "")),
        withdrawals=_times(document.get("withdrawals", [])),
        restores=_times(document.get("restores", [])),
        take_backs=_times(document.get("take_backs", [])),
    )


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _times(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list of times")
    return tuple(int(time(v)) for v in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where a text belongs")
    return value[:LONGEST_TEXT]


def _recent(times: tuple[int, ...], clock: int, seconds: int = DAY) -> tuple[int, ...]:
    # A clock that was set back leaves times in the future; a time that is further away than the
    # period, in either direction, is not of that period.
    return tuple(t for t in times if abs(clock - t) < seconds)[-MOST_REMEMBERED:]
