"""The examinations of the VIP and the notes on an endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from anycast_checks.addresses import DAD_FAILED

from ..endpoint.latch import DIRECTORY, UNREADABLE_HOLD, hold_path
from .finding import Examination, Finding, Subject


def whereabouts(subject: Subject) -> Iterator[Finding]:
    """Hint at a VIP that is withdrawn, since its announcement cannot be examined then."""
    look, vip = subject.look, subject.vip
    # `readiness` says what is wrong with a VIP that is tentative.
    if look and not look.present and not any(look.addresses.unready(vip.address)):
        yield subject.hint(
            f"{vip.address} is withdrawn, so how it is announced could not be examined",
            "examine it again once it is restored",
        )


def prefix_length(subject: Subject) -> Iterator[Finding]:
    """Find a VIP with a wrong prefix length, since nobody counts who announces that prefix."""
    vip = subject.vip
    wanted = vip.placement.prefix(vip.address)
    for one in sorted(subject.look.addresses if subject.look else ()):
        on_its_own = (one.interface, one.address) == (vip.placement.interface, vip.address)
        if on_its_own and str(one) != wanted:
            yield subject.found(
                f"{one} on {one.interface} is not {wanted}, which alone is counted",
                f"configure {vip.interface} with {wanted} there, bring that up, and then "
                f"`ip address del {one} dev {one.interface}`",
            )


def interfaces(subject: Subject) -> Iterator[Finding]:
    """Find a VIP on another interface than its own, from where a withdrawal does not take it."""
    look, vip = subject.look, subject.vip
    if not look:
        return
    also = "also " if look.in_place else ""
    first = "" if look.in_place else f"bring it up on {vip.interface} there, and then "
    for one in sorted(look.addresses):
        if one.address == vip.address and one.interface in look.elsewhere:
            yield subject.found(
                f"{vip.address} is {also}on {one.interface}, from where no withdrawal takes it",
                f"{first}`ip address del {one} dev {one.interface}` there, and see what "
                "configures it",
            )


def readiness(subject: Subject) -> Iterator[Finding]:
    """Find a VIP of IPv6 that is on an interface, and on which the host does not answer."""
    address = subject.vip.address
    for one in subject.look.addresses.unready(address) if subject.look else ():
        where = f"{one} dev {one.interface}"
        again = (
            "have it configured with nodad (networkd: DuplicateAddressDetection=none), and now "
            f"`ip address del {where}` there, and `ip address add {where} nodad preferred_lft 0`"
        )
        if one.unready == DAD_FAILED:
            text = f"another host on the link of {one.interface} has {address}"
            yield subject.found(f"{text}, so this host does not answer on it", again)
        else:
            text = f"{address} is tentative on {one.interface}, where this host does not answer yet"
            yield subject.found(text, f"where it stays so, {again}")


def existence(subject: Subject) -> Iterator[Finding]:
    """Find a VIP without its interface, which no restore makes."""
    look, vip = subject.look, subject.vip
    if look and vip.placement.interface not in look.addresses.interfaces:
        yield subject.found(
            f"there is no {vip.placement.interface}, so {vip.address} could not be restored",
            "make that interface there, or correct the fleet file",
        )


def drain(subject: Subject) -> Iterator[Finding]:
    """Find a route that answers for the VIP, and that a run which was killed has left behind."""
    look, vip = subject.look, subject.vip
    if look and look.drain_is_left:
        verb = "restore" if look.present else "withdraw"
        yield subject.found(
            f"a route that a withdrawal has left behind still answers for {vip.address}",
            f"`anycast-handler {verb} {vip.name} {subject.endpoint.name}` takes it away",
        )


PLACE_EXAMINATIONS: tuple[Examination, ...] = (
    whereabouts,
    existence,
    prefix_length,
    interfaces,
    readiness,
    drain,
)


def notes(subject: Subject) -> Iterator[Finding]:
    """Find notes that cannot be read, and a hold whose time is over."""
    look, user = subject.look, subject.user
    if look and look.hold_unknown:
        yield subject.found(look.trouble, "see why, on the endpoint")
    elif look and look.trouble:
        yield subject.found(
            look.trouble, f"`chown -R {user} {DIRECTORY}` there, or remove the file"
        )
    if look and look.hold == UNREADABLE_HOLD:
        file = hold_path(subject.vip.address)
        yield subject.found(
            f"{file} cannot be read, which counts as a hold",
            f"`chown {user} {file}` there, or remove it",
        )
    elif look and look.hold and look.hold_has_expired(subject.site.clock()):
        release = f"anycast-handler release {subject.vip.name} {subject.endpoint.name}"
        yield subject.found(
            f"the hold by {look.hold.by} has expired ({look.hold.reason})",
            f"`{release}`, or hold it anew",
        )
