"""The examinations of the VIP and the notes on an endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from ..endpoint.latch import DIRECTORY, UNREADABLE_HOLD, hold_path
from .finding import Examination, Finding, Subject


def whereabouts(subject: Subject) -> Iterator[Finding]:
    """Hint at a VIP that is withdrawn, since its announcement cannot be examined then."""
    look, vip = subject.look, subject.vip
    if look and not look.present and not look.elsewhere:
        yield subject.hint(
            f"{vip.address} is withdrawn, so how it is announced could not be examined",
            "examine it again once it is restored",
        )


def prefix_length(subject: Subject) -> Iterator[Finding]:
    """Find a VIP with a wrong prefix length, since nobody counts who announces that prefix."""
    vip = subject.vip
    wanted = vip.placement.prefix(vip.address)
    for one in sorted(subject.look.addresses if subject.look else ()):
        if one.address == vip.address and str(one) != wanted:
            yield subject.found(
                f"{one} on {one.interface} is not {wanted}",
                f"configure {vip.interface} with {wanted}, a single address",
            )


def interfaces(subject: Subject) -> Iterator[Finding]:
    """Find a VIP on another interface than its own, from where a withdrawal does not take it."""
    look, vip = subject.look, subject.vip
    if look and look.elsewhere:
        also = "also " if look.present else ""
        yield subject.found(
            f"{vip.address} is {also}on {', '.join(sorted(set(look.elsewhere)))}",
            f"take it off there: it belongs to {vip.interface} alone",
        )


PLACE_EXAMINATIONS: tuple[Examination, ...] = (whereabouts, prefix_length, interfaces)


def notes(subject: Subject) -> Iterator[Finding]:
    """Find notes that cannot be read, and a hold whose time is over."""
    look = subject.look
    remedy = f"let {subject.user} own what is in {DIRECTORY}, or remove that file"
    if look and look.hold_unknown:
        yield subject.found(look.trouble, "see why, on the endpoint")
    elif look and look.trouble:
        yield subject.found(look.trouble, remedy)
    if look and look.hold == UNREADABLE_HOLD:
        file = hold_path(subject.vip.address)
        yield subject.found(f"{file} cannot be read, which counts as a hold", remedy)
    elif look and look.hold and look.hold_has_expired(subject.site.clock()):
        yield subject.found(
            f"the hold by {look.hold.by} has expired ({look.hold.reason})",
            f"anycast-handler release {subject.vip.name} {subject.endpoint.name}, or hold it anew",
        )
