"""After a planned withdrawal: the endpoint goes on answering until no client comes any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from ..decision.facts import State
from ..endpoint.change import Change
from ..endpoint.check import instance_of
from ..endpoint.confirmation import confirm_instance
from ..endpoint.drain import COUNTERS, NOTHING, Came, read_counters
from ..endpoint.look import Look
from ..endpoint.noted import ANY
from ..errors import ChangedMeanwhileError, HandlerError, SignalledError
from .parts import Drain, Parts

# So long nothing must have come to the host.
QUIET_SECONDS = 2.0
POLL_SECONDS = 0.5
# So often the service is asked whether it still answers.
CHECK_SECONDS = 1.0
# A route that is still there so long after its time was left behind by its run. Until then the run
# may still verify the withdrawal, count again, and take the route away.
SPARE_SECONDS = 20
# A longer drain asks for its time piece by piece, so that a run that is killed leaves no long one.
PIECE_SECONDS = 10
# An address that comes, or another run that acts, keeps the route from being taken away at once.
MOST_LOOKS = 3
# The automation ends its drain so long before the run has to end.
LAST_SECONDS = 4.0


def seconds_of(parts: Parts) -> float:
    """Give for how long the endpoint may go on answering; 0 where it must not.

    What a person wants is planned, and what is slow still serves those who come late. Whatever else
    the automation withdraws is failing. It withdraws no other endpoint of the VIP within
    ``spacing``, so that a drain of that length keeps it from nothing.
    """
    if parts.request.verb.places_hold:
        return parts.vip.drain
    return min(parts.vip.drain, parts.vip.spacing) if parts.is_slow else 0.0


def lease_of(seconds: float) -> int:
    """Give after how many seconds others may take the route away, if nobody asks for more."""
    return int(min(seconds, PIECE_SECONDS)) + SPARE_SECONDS if seconds else 0


def begin(parts: Parts, seconds: float) -> Came | None:
    """Read what has come so far, and give a person's run the time for the drain."""
    if parts.request.verb.by_hand:
        parts.deadline.put_off(seconds)
    return _came(parts)


def take_over(parts: Parts) -> None:
    """Go on with the drain of another run, which may have been killed."""
    seconds = seconds_of(parts)
    came = begin(parts, seconds)
    parts.drain = Drain(parts.deadline.clock.monotonic(), seconds, came, is_taken_over=True)


def finish(parts: Parts) -> None:
    """Wait until no client comes any more, and take the route away."""
    drain, clock = parts.drain, parts.deadline.clock
    if drain is None:
        return
    came: list[_At] = []
    with parts.outcome.timed("go on answering"):
        failing = _wait(parts, drain, came)
        try:
            look, words = _take_away(parts)
        except HandlerError as error:
            parts.outcome.acted_in_vain(f"withdrawn, but goes on answering: {error}")
            return
    if look.present:
        # A script that goes by the exit code must not change an endpoint to which clients come.
        parts.outcome.acted(look, address=False)
        parts.outcome.acted_in_vain("withdrawn, and brought back while it went on answering")
        return
    took = clock.monotonic() - drain.since
    more = "another " if drain.is_taken_over else ""
    answered = f"went on answering for {more}{took:.1f} s{_words(drain, came)}"
    parts.outcome.note(words or failing or answered)


@contextmanager
def given_up_by_signal(parts: Parts) -> Iterator[None]:
    """Take the route away where Ctrl-C or SIGTERM ends the run before its drain is over."""
    try:
        yield
    except SignalledError:
        if parts.drain is not None:
            # Nobody would hear why it did not work; the next run takes away what is left.
            with suppress(HandlerError):
                _take_away(parts)
        raise


class _At(NamedTuple):
    """What had come to the host at a moment of the monotonic clock."""

    at: float
    came: Came


def _wait(parts: Parts, drain: Drain, came: list[_At]) -> str:
    """Wait until nothing has come for a while, the time is over, or somebody else has ended it.

    Returns:
        Why the instance must not go on answering; empty where it fails not, or nobody knows.
    """
    clock = parts.deadline.clock
    last = clock.monotonic() + parts.deadline.left(drain.seconds + LAST_SECONDS) - LAST_SECONDS
    until, quiet_since = min(drain.since + drain.seconds, last), clock.monotonic()
    own, asked_at = NOTHING, None
    while True:
        if _is_over(parts, until):
            return ""
        read, now = _came(parts), clock.monotonic()
        clients = read and read.minus(own)
        if clients is None or not came or not clients.is_as(came[-1].came):
            quiet_since = now
        if clients is not None:
            came.append(_At(now, clients))
        is_over = now >= until or now - quiet_since >= QUIET_SECONDS
        if asked_at is None or (not is_over and now - asked_at >= CHECK_SECONDS):
            asked_at = now
            if failing := _why_failing(parts):
                return failing
            own = own.plus(_since(parts, read))
        if is_over:
            return ""
        clock.sleep(min(POLL_SECONDS, until - clock.monotonic()))


def _since(parts: Parts, before: Came | None) -> Came:
    """Give what has come by the question of this run itself, which is no client."""
    after = _came(parts) if before else None
    return after.minus(before) if before and after else NOTHING


def _is_over(parts: Parts, until: float) -> bool:
    """Whether another run has ended the drain; if not, ask for the time that it needs."""
    try:
        look = parts.site.look()
        if look.present or _has_no_drain(look):
            return True
        ends_soon = look.draining is not None and look.draining - look.uptime < SPARE_SECONDS
        if ends_soon and parts.deadline.clock.monotonic() < until:
            parts.site.change(Change(_whatever_is_noted(look), drain=lease_of(PIECE_SECONDS)))
    except HandlerError as error:
        parts.outcome.note(f"it is unknown whether it went on answering: {error}")
    return False


def _why_failing(parts: Parts) -> str:
    instance = instance_of(parts.vip)
    try:
        found = confirm_instance(parts.site, instance) if instance else None
    except HandlerError:  # the look and the counters tell of a connection that is lost
        return ""
    if found and found.state is State.CRITICAL and not found.is_slow:
        return f"does not go on answering, since its service fails: {found.said}"
    return ""


def _came(parts: Parts) -> Came | None:
    try:
        return read_counters(parts.site.shell.run(COUNTERS))
    except HandlerError as error:
        parts.outcome.note(f"it is unknown what still came: {error}")
        return None


def _words(drain: Drain, came: list[_At]) -> str:
    """Say what has come, until when, and what was left at the end."""
    if drain.came is None or not came:
        return ""
    end, first = came[-1], _At(drain.since, drain.came)
    words = f", in which {end.came.since(first.came)} came to the host"
    known = (first, *came)
    changes = [now for before, now in pairwise(known) if not now.came.is_as(before.came)]
    if not changes:
        return words
    if end.at - changes[-1].at >= QUIET_SECONDS:
        return f"{words}, the last after {changes[-1].at - drain.since:.1f} s"
    earlier = next((one for one in reversed(known) if end.at - one.at >= QUIET_SECONDS), first)
    left, seconds = end.came.since(earlier.came), end.at - earlier.at
    return f"{words}, {left} of them in its last {seconds:.1f} s"


def _take_away(parts: Parts) -> tuple[Look, str]:
    """Take the route away.

    Returns:
        The last look, and why there was no route any more; empty where there was one.

    Raises:
        HandlerError: it may still be there.
    """
    trouble: HandlerError | None = None
    for _ in range(MOST_LOOKS):
        look = parts.site.look()
        if _has_no_drain(look):
            return look, "" if trouble else "another run has ended its drain"
        try:
            undrain(parts, look)
        except ChangedMeanwhileError as error:
            trouble = error
        else:
            return look, ""
    assert trouble is not None
    raise trouble


def _has_no_drain(look: Look) -> bool:
    """Whether no route answers; where the notes cannot be read, there may be one."""
    return look.draining is None and not look.trouble


def undrain(parts: Parts, look: Look) -> None:
    """Take the route of a drain away.

    Raises:
        ChangedMeanwhileError: something is not as the look has found it, or another run acts.
        HandlerError: it may still be there.
    """
    report = parts.site.change(Change(_whatever_is_noted(look), undrain=True))
    for done in report.done:
        if done.status != 0:
            raise HandlerError(f"its local route could not be removed: {done.said}")


def _whatever_is_noted(look: Look) -> Look:
    """Let no latch and no hold that somebody writes meanwhile keep a route in its place."""
    return replace(look, latch_mark=ANY, hold_mark=ANY)
