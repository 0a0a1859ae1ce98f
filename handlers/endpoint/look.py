"""What one look at an endpoint shows; no output of it is trusted to be well-formed."""

from __future__ import annotations

from dataclasses import dataclass

from anycast_checks import addresses
from anycast_checks.addresses import Addresses

from ..decision.situation import Held, Seen
from ..errors import CommandFailedError
from ..fleet.values import Vip
from ..transport.shell import Argv, Query, Reply, Result
from . import latch as notes
from .latch import Hold, Latch
from .noted import ANY, notes_argv, read_notes, split_files
from .numbers import uptime as read_uptime

BOOT_ID, UPTIME = "/proc/sys/kernel/random/boot_id", "/proc/uptime"
LONGEST_BOOT_ID = 64
# Seconds for the notes: where the disk hangs, all else that a look asks is heard in time.
NOTES_SECONDS = 1.0
BOOT: Argv = ("/usr/bin/head", "-v", BOOT_ID, UPTIME)


@dataclass(frozen=True)
class Look:
    """The addresses of the endpoint, its uptime in seconds, and the two notes on the VIP.

    ``hold_unknown`` is true where it cannot be told whether there is a hold. The VIP may then be
    withdrawn, since a failing disk must not keep a dead endpoint in the routing, but it is not
    restored. ``trouble`` says what could not be read, where the look is of use nevertheless.
    The marks are those of `Noted`, and ``masked`` and ``draining`` too.
    ``heard`` is when the look was heard of, in seconds of this host's monotonic clock.
    """

    addresses: Addresses
    vip: Vip
    boot_id: str
    uptime: float
    latch: Latch
    hold: Hold | None = None
    hold_unknown: bool = False
    trouble: str = ""
    latch_mark: str = ANY
    hold_mark: str = ANY
    heard: float = 0.0
    masked: str = ""
    draining: float | None = None

    @property
    def present(self) -> bool:
        """Whether the VIP is on any interface, from where a routing daemon may announce it."""
        return bool(self.interfaces)

    @property
    def in_place(self) -> bool:
        """Whether the VIP is on its own interface, from where a withdrawal takes it."""
        return self.has(self.vip)

    @property
    def may_be_held(self) -> bool:
        """Whether there is a hold, or it cannot be told."""
        return self.hold is not None or self.hold_unknown

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Name all interfaces that carry the VIP."""
        return self.addresses.interfaces_with(self.vip.address)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Name the other interfaces that carry the VIP."""
        return tuple(i for i in self.interfaces if i != self.vip.placement.interface)

    @property
    def neighbors(self) -> frozenset[str]:
        """Give the other addresses of the VIP's interface, as address/length."""
        return self.addresses.others_on(self.vip.placement.interface, self.vip.address)

    def has(self, vip: Vip) -> bool:
        """Whether a VIP is on its interface."""
        return self.addresses.is_on(vip.placement.interface, vip.address)

    @property
    def shares_label(self) -> bool:
        """Whether another address of the interface has the VIP's label too."""
        return self.addresses.shares_label(self.vip.placement, self.vip.address)

    @property
    def latch_age(self) -> float | None:
        """Seconds since the suite withdrew the VIP; None where it did not, in this boot."""
        if not self.latch.is_on(self.boot_id, self.uptime) or self.latch.since is None:
            return None
        return self.uptime - self.latch.since

    @property
    def drain_is_left(self) -> bool:
        """Whether a route answers for the VIP which the run that has added it left behind."""
        return self.draining is not None and (self.present or self.draining < self.uptime)

    @property
    def needs_clock(self) -> bool:
        """Whether a note has times that have to be compared with the endpoint's clock."""
        latch = self.latch
        return bool(latch.withdrawals or latch.restores or latch.take_backs or self.hold)

    def hold_left(self, clock: int) -> float | None:
        """Seconds until the hold ends, not above zero where it has; None without hold or end."""
        if self.hold is None:
            return None
        return self.hold.left(clock=clock, boot_id=self.boot_id, uptime=self.uptime)

    def hold_has_expired(self, clock: int) -> bool:
        """Whether there is a hold that has ended."""
        return bool(self.hold and self.hold.has_expired(clock, self.boot_id, self.uptime))

    def seen(self, clock: int) -> Seen:
        """Reduce the look to what a decision needs; ``clock`` is the time on the endpoint."""
        withdrawals, restores = self.latch.within_a_day(clock)
        hold = self.hold
        held = None
        if hold:
            unreadable = hold == notes.UNREADABLE_HOLD
            expired = self.hold_has_expired(clock)
            held = Held(hold.by, hold.reason, hold.present, expired, unreadable)
        elsewhere = ", ".join(self.elsewhere)
        return Seen(
            self.present,
            self.latch_age,
            withdrawals,
            restores,
            held,
            elsewhere,
            hold_unknown=self.hold_unknown,
            stale_latch=self.latch.since is not None and self.latch_age is None,
            take_backs=self.latch.lately_taken_back(clock),
            misplaced=self.present and not self.in_place,
        )


def read(vip: Vip, shown: Result, booted: Result, noted: Reply) -> Look:
    """Read what the three commands of a look have printed.

    Args:
        vip: the VIP that is looked at.
        shown: the output about the addresses.
        booted: the output about the boot.
        noted: the output about the notes, or why there is none.

    Raises:
        CommandFailedError: it cannot be told what the addresses or the boot are.
    """
    addresses = read_addresses(shown)
    boot_id, uptime = read_boot(booted)
    found = read_notes(vip, noted)
    return Look(
        addresses,
        vip,
        boot_id,
        uptime,
        found.latch,
        found.hold,
        found.hold_unknown,
        "; ".join(found.troubles),
        found.latch_mark,
        found.hold_mark,
        masked=found.masked,
        draining=found.draining,
    )


def look_questions(vip: Vip) -> tuple[Query, ...]:
    """Give the questions of a look: the addresses, the notes, the boot."""
    notes = Query(notes_argv(vip), NOTES_SECONDS)
    # The uptime comes last, because from it the time is counted in which a change may be begun.
    return (Query(addresses.ARGV), notes, Query(BOOT))


def read_boot(booted: Result) -> tuple[str, float]:
    """Read the id of the boot, and the uptime in seconds; raises as read does."""
    facts = split_files(booted.stdout)
    try:
        boot_id, uptime = facts[BOOT_ID].strip(), read_uptime(facts[UPTIME].split()[0])
        if not 0 < len(boot_id) <= LONGEST_BOOT_ID:
            raise ValueError(f"no boot id: {boot_id[:40]!r}")
    except (LookupError, ValueError) as error:
        raise CommandFailedError(BOOT, booted.status, f"cannot be read: {error!r}") from error
    return boot_id, uptime


def is_present(vip: Vip, shown: Result) -> bool:
    """Read from the addresses alone whether the VIP is on any interface; raises as read does."""
    return bool(read_addresses(shown).interfaces_with(vip.address))


def read_addresses(shown: Result) -> Addresses:
    """Read the addresses of the endpoint; raises as read does."""
    if shown.status != 0:
        # A login shell that runs no commands says so on its standard output.
        raise CommandFailedError(addresses.ARGV, shown.status, shown.stderr or shown.stdout)
    try:
        return addresses.read(shown.stdout)
    except ValueError as error:
        raise CommandFailedError(
            addresses.ARGV, shown.status, f"cannot be read: {error}"
        ) from error
