"""After a planned withdrawal: the endpoint goes on answering until no client comes any more."""

from __future__ import annotations

from ..decision.facts import State
from ..endpoint.change import Change
from ..endpoint.check import instance_of
from ..endpoint.confirmation import confirm_instance
from ..endpoint.drain import COUNTERS, Came, read_counters
from ..endpoint.look import Look
from ..errors import ChangedMeanwhileError, HandlerError
from .parts import Parts

# So long nothing must have come to the host.
QUIET_SECONDS = 2.0
POLL_SECONDS = 0.5
# A route that is still there so long after its time was left behind by its run. Until then the run
# may still verify the withdrawal, count again, and take the route away.
SPARE_SECONDS = 20


def seconds_of(parts: Parts) -> int:
    """Give for how long the endpoint may go on answering; 0 where it must not.

    Only what a person wants is planned. Whatever the automation withdraws is failing.
    """
    if not parts.request.verb.places_hold or not parts.vip.drain:
        return 0
    return int(parts.vip.drain) + SPARE_SECONDS


def begin(parts: Parts) -> Came | None:
    """Read what has come so far, and give the run the time for the drain."""
    parts.deadline.put_off(parts.vip.drain)
    return _came(parts)


def finish(parts: Parts) -> None:
    """Wait until no client comes any more, and take the route away."""
    drain, clock = parts.drain, parts.deadline.clock
    if drain is None:
        return
    with parts.outcome.timed("go on answering"):
        failing = _why_failing(parts)
        last = None if failing else _wait(parts, drain.since + parts.vip.drain, drain.came)
        try:
            words = _take_away(parts) or failing
        except HandlerError as error:
            parts.outcome.acted_in_vain(f"withdrawn, but goes on answering: {error}")
            return
    took = clock.monotonic() - drain.since
    came = f", in which {last.since(drain.came)} came to the host" if last and drain.came else ""
    parts.outcome.note(words or f"went on answering for {took:.1f} s{came}")


def _why_failing(parts: Parts) -> str:
    """Say why the instance must not go on answering; empty where it fails not, or nobody knows."""
    instance = instance_of(parts.vip)
    found = confirm_instance(parts.site, instance) if instance else None
    if found and found.state is State.CRITICAL:
        return f"does not go on answering, since its service fails: {found.said}"
    return ""


def _wait(parts: Parts, until: float, first: Came | None) -> Came | None:
    """Wait until nothing has come for a while, or the time is over; returns what came last."""
    clock, last = parts.deadline.clock, first
    quiet_since = clock.monotonic()
    while True:
        now_came = _came(parts)
        now = clock.monotonic()
        if now_came is None or last is None or not now_came.is_as(last):
            quiet_since = now
        last = now_came or last
        if now >= until or now - quiet_since >= QUIET_SECONDS:
            return last
        clock.sleep(min(POLL_SECONDS, until - now))


def _came(parts: Parts) -> Came | None:
    try:
        return read_counters(parts.site.shell.run(COUNTERS))
    except HandlerError as error:
        parts.outcome.note(f"it is unknown what still came: {error}")
        return None


def _take_away(parts: Parts) -> str:
    """Take the route away; returns why there was none any more, empty where there was one."""
    look = parts.site.look()
    if look.present:
        return "was brought back while it went on answering"
    if look.draining is None:
        return "another run has ended its drain"
    return undrain(parts, look)


def undrain(parts: Parts, look: Look) -> str:
    """Take the route of a drain away; returns why another run has done so, empty where none has.

    Raises:
        HandlerError: it may still be there.
    """
    try:
        report = parts.site.change(Change(look, undrain=True))
    except ChangedMeanwhileError as error:
        return f"its route is left to another run: {error}"
    for done in report.done:
        if done.status != 0:
            raise HandlerError(f"its local route could not be removed: {done.said}")
    return ""
