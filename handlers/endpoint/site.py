"""Look at, withdraw and restore one VIP on one endpoint; the kernel says whether it worked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from anycast_checks.addresses import ARGV as ADDRESSES

from ..activators._activator import Activator, Surroundings
from ..activators._choice import Choice, choose, first_questions
from ..errors import CommandFailedError, HandlerError, OutcomeUnknownError, UnreachableError
from ..fleet.values import Vip
from ..transport.clock import SYSTEM_CLOCK, Clock
from ..transport.shell import COMMAND_SECONDS, Argv, Query, Reply, Result, Shell, with_distance
from .change import (
    HELPER,
    NOTE_LATE_SECONDS,
    Change,
    Note,
    Report,
    failed_notes,
    read_report,
)
from .check import check_seconds, confirmation
from .look import BOOT, Look, is_present, look_questions, read
from .mask import mask_by
from .noted import notes_argv, tells_of_notes
from .numbers import clock as read_clock

CLOCK: Argv = ("/bin/date", "+%s")
SUDO: Argv = ("/usr/bin/sudo", "-n")


@dataclass(frozen=True)
class Step:
    """A command that was run to change something.

    ``status`` is None where it is unknown; ``at`` is when the command was sent, in seconds since
    the epoch.
    """

    argv: Argv
    status: int | None
    said: str
    at: float


class Ahead(NamedTuple):
    """Replies to the first questions of an act, where they were asked ahead of it, else None.

    Attributes:
        clock: the reply about the endpoint's time.
        choice: the replies to the first questions of the choice of the activator.
    """

    clock: Reply | None = None
    choice: tuple[Reply, ...] = ()


class Site:
    """One VIP on one endpoint, through a shell; ``steps`` is the record of what was changed."""

    def __init__(
        self,
        shell: Shell,
        vip: Vip,
        siblings: tuple[Vip, ...] = (),
        *,
        dry_run: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take a VIP on an endpoint.

        Args:
            shell: runs commands on the endpoint.
            vip: the VIP.
            siblings: the other VIPs of the endpoint.
            dry_run: record what would be changed, and change nothing.
            clock: this host's, for the times in ``steps``.
        """
        self.shell = shell
        self.vip = vip
        self.siblings = siblings
        self.dry_run = dry_run
        self.steps: list[Step] = []
        self._clock = clock
        self._notes_hang = False

    def look(self) -> Look:
        """See addresses, boot, uptime and notes.

        Raises:
            CommandFailedError: the endpoint has no `ip -json`, or an output cannot be read.
        """
        shown, noted, booted = self.shell.ask_all(look_questions(self.vip))
        if not tells_of_notes(noted) and not self._notes_hang:
            # The notes may hold a person's order, so they are asked for once more. Where that
            # fails too, the disk hangs, and the later looks of the run do not try twice.
            with suppress(UnreachableError):
                noted, booted = self.shell.ask_all((Query(notes_argv(self.vip)), Query(BOOT)))
            self._notes_hang = not tells_of_notes(noted)
        heard = self._clock.monotonic()
        return replace(read(self.vip, _heard(shown), _heard(booted), noted), heard=heard)

    def is_present(self) -> bool:
        """See only whether the VIP is on any interface; raises as look does."""
        return is_present(self.vip, self.shell.run(ADDRESSES))

    def clock(self, heard: Reply | None = None) -> int:
        """Read the endpoint's clock, in seconds since the epoch; ``heard`` is a reply asked ahead.

        Raises:
            CommandFailedError: the endpoint does not say what time it is.
        """
        answer = self.shell.run(CLOCK) if heard is None else _heard(heard)
        if answer.status != 0:
            raise CommandFailedError(CLOCK, answer.status, answer.stderr)
        try:
            return read_clock(answer.stdout)
        except ValueError as error:
            said = f"said {answer.stdout[:40]!r}"
            raise CommandFailedError(CLOCK, answer.status, said) from error

    @property
    def check(self) -> Query:
        """The endpoint's own check once more, unprivileged, within its own deadline."""
        argv = confirmation(self.vip)
        return Query(argv, check_seconds(argv) + COMMAND_SECONDS, takes_long=True)

    @property
    def first_questions(self) -> tuple[Query, ...]:
        """The first questions of an act."""
        return (Query(CLOCK), *map(Query, first_questions(self.vip)))

    def confirm(self) -> tuple[Result, Ahead]:
        """Run the endpoint's own check.

        Returns:
            How the check ended, and the replies to an act's first questions, asked meanwhile.
        """
        confirmed, clock, *choice = self.shell.ask_all((self.check, *self.first_questions))
        return _heard(confirmed), Ahead(clock, tuple(choice))

    def activator(self, heard: Sequence[Reply] = ()) -> Activator:
        """Choose the activator; see `choice`."""
        return self.choice(heard).activator

    def choice(self, heard: Sequence[Reply] = ()) -> Choice:
        """Choose the activator, and say why; call this before anything is changed.

        Args:
            heard: the replies to the first questions of the choice, where they were asked ahead.

        Raises:
            UnsupportedActivatorError: no activator may be used there.
        """
        questions = first_questions(self.vip)
        if questions and not heard:
            heard = self.shell.ask_all(tuple(map(Query, questions)))
        replies = dict(zip(questions, heard, strict=True))

        def ask(argv: Argv) -> Result:
            return _heard(replies.pop(argv)) if argv in replies else self.shell.run(argv)

        return choose(self.vip, ask, lambda: self.look().neighbors)

    def withdrawal(self, activator: Activator, look: Look, *notes: Note, drain: int = 0) -> Change:
        """Plan to write notes, and to take the VIP off its interface; ``drain`` as in Change."""
        tries = activator.withdraw(self.vip, self._around(look))
        # An endpoint that fails does not go on answering by what another run has left behind.
        undrain = look.draining is not None and not drain
        mask = mask_by(activator)
        return Change(look, notes, tries, mask=mask, drain=drain, undrain=undrain)

    def restoration(
        self, activator: Activator, look: Look, before: Sequence[Note], after: Sequence[Note]
    ) -> Change:
        """Plan to write notes, to bring the VIP back to its interface, and to note that too."""
        tries = activator.restore(self.vip, self._around(look))
        undrain = look.draining is not None
        return Change(look, tuple(before), tries, tuple(after), unmask=look.masked, undrain=undrain)

    def note(self, look: Look, *notes: Note) -> str:
        """Write or remove notes; returns which of them failed, empty where none did.

        Raises:
            ChangedMeanwhileError: something is not as the look has found it; nothing was done.
        """
        try:
            late = with_distance(NOTE_LATE_SECONDS, self.shell.distance)
            change = Change(look, notes, late=late)
            return failed_notes(self.vip, self.change(change))
        except (OutcomeUnknownError, CommandFailedError) as error:
            return f"{' and '.join(n.path(self.vip) for n in notes)} could not be written: {error}"

    def change(self, change: Change) -> Report:
        """Have the helper on the endpoint make a change, or none.

        Raises:
            ChangedMeanwhileError: something is not as it was; nothing was done.
            ActedTooLateError: the helper was begun too late; nothing was done.
            OutcomeUnknownError: the endpoint was not heard of; the change may have been made, and
                can no longer take effect.
        """
        look, sent = change.look, self._clock.time()
        if self.dry_run:
            self.steps += [Step(argv, None, "dry run", sent) for argv in change.tries]
            return Report(look.addresses, look.addresses)
        # Only what acts on the interface needs root.
        argv = (HELPER,) if self.shell.is_root or not change.needs_root else (*SUDO, HELPER)
        # The step is recorded before the command is sent, so that it is in the log even of a run
        # that is ended meanwhile.
        self.steps.append(Step(argv, None, "sent, and not heard of", sent))
        now = self._clock.monotonic()
        try:
            request = change.request(now)
            ended = self.shell.run(argv, request, change.seconds)
            report = read_report(argv, ended)
        except OutcomeUnknownError as error:
            self.steps[-1] = Step(argv, None, f"sent, outcome unknown: {error.why}", sent)
            # The endpoint may still make the change, but not after this time. So nobody acts on
            # what is then seen, or is told of it, before it is certain.
            self._clock.sleep(now + change.seconds - self._clock.monotonic())
            raise
        except CommandFailedError as error:
            self.steps[-1] = Step(argv, error.status, error.stderr.strip(), sent)
            raise
        except HandlerError:
            self.steps.pop()
            raise
        self.steps[-1:] = [Step(d.words, d.status, d.said, sent + d.after) for d in report.done]
        return report

    def _around(self, look: Look) -> Surroundings:
        present = all(look.has(sibling) for sibling in self.siblings)
        return Surroundings(look.neighbors, look.shares_label, present)


def _heard(reply: Reply) -> Result:
    if isinstance(reply, OutcomeUnknownError):
        raise reply
    return reply
