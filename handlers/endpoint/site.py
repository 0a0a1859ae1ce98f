"""Look at, withdraw and restore one VIP on one endpoint; the kernel says whether it worked."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from anycast_checks.addresses import ARGV as ADDRESSES

from ..activators._activator import Activator, Surroundings
from ..activators._choice import choose, first_questions
from ..errors import CommandFailedError, HandlerError, OutcomeUnknownError, UnreachableError
from ..fleet.values import Vip
from ..transport.clock import SYSTEM_CLOCK, Clock
from ..transport.shell import COMMAND_SECONDS, Argv, Query, Reply, Result, Shell
from .check import check_seconds, confirmation
from .look import BOOT, Look, is_present, notes_argv, read, tells_of_notes

CLOCK: Argv = ("/bin/date", "+%s")
NOTE_SECONDS = 1.0


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
        program: the reply to the first question of the choice of the activator.
    """

    clock: Reply | None = None
    program: Reply | None = None


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
        notes = Query(notes_argv(self.vip), NOTE_SECONDS)
        replies = self.shell.ask_all((Query(ADDRESSES), Query(BOOT), notes))
        shown, booted, noted = _heard(replies[0]), _heard(replies[1]), replies[2]
        if not tells_of_notes(noted) and not self._notes_hang:
            # The notes may hold a person's order, so they are asked for once more. Where that
            # fails too, the disk hangs, and the later looks of the run do not try twice.
            with suppress(UnreachableError):
                (noted,) = self.shell.ask_all((Query(notes.argv),))
            self._notes_hang = not tells_of_notes(noted)
        return read(self.vip, shown, booted, noted)

    def is_present(self) -> bool:
        """See only whether the VIP is on its interface; raises as look does."""
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
            return int(answer.stdout)
        except ValueError as error:
            said = f"said {answer.stdout[:40]!r}"
            raise CommandFailedError(CLOCK, answer.status, said) from error

    def confirm(self) -> tuple[Result, Ahead]:
        """Run the endpoint's own check once more, unprivileged, within its own deadline.

        Returns:
            How the check ended, and the replies to an act's first questions, asked meanwhile.
        """
        argv = confirmation(self.vip)
        check = Query(argv, check_seconds(argv) + COMMAND_SECONDS)
        first = first_questions(self.vip)
        confirmed, clock, *program = self.shell.ask_all((check, Query(CLOCK), *map(Query, first)))
        return _heard(confirmed), Ahead(clock, program[0] if program else None)

    def activator(self, heard: Reply | None = None) -> Activator:
        """Choose the activator; call this before anything is changed.

        Args:
            heard: the reply to the first question of the choice, where it was asked ahead.

        Raises:
            UnsupportedActivatorError: no activator may be used there.
        """
        replies = {} if heard is None else dict.fromkeys(first_questions(self.vip), heard)

        def ask(argv: Argv) -> Result:
            return _heard(replies.pop(argv)) if argv in replies else self.shell.run(argv)

        return choose(self.vip, ask, lambda: self.look().neighbors)

    def withdraw(self, activator: Activator, before: Look) -> tuple[Look, str]:
        """Take the VIP off its interface.

        Returns:
            The look afterwards, and the command that worked, empty where none did.
        """
        after = before
        for argv in activator.withdraw(self.vip, self._around(before)):
            self._change(argv)
            if self.dry_run:
                continue
            after = self.look()
            if not after.present:
                return after, _short(argv)
        return after, ""

    def restore(self, activator: Activator, before: Look) -> tuple[Look, str]:
        """Bring the VIP back to its interface; returns as withdraw does."""
        after = before
        for argv in activator.restore(self.vip, self._around(before)):
            self._change(argv)
            if self.dry_run:
                continue
            after = self.look()
            if after.present:
                return after, _short(argv)
        return after, ""

    def _around(self, look: Look) -> Surroundings:
        present = all(look.has(sibling) for sibling in self.siblings)
        return Surroundings(look.neighbors, look.shares_label, present)

    def write_note(self, path: str, text: str) -> str:
        """Replace a note's file; returns what went wrong, empty where nothing did.

        It never raises: a disk that is full must not keep a dead endpoint in the routing.
        """
        new = f"{path}.new"
        trouble = ""
        # Two tries: another monitoring host that writes the same note may move the new file away
        # between the two commands.
        for _ in range(2):
            try:
                written = self._run_change(_write(new), text, NOTE_SECONDS)
                if written.status != 0:
                    return f"{path} could not be written: {written.stderr.strip()}"
                moved = self._run_change(("/bin/mv", "-fT", new, path), "", NOTE_SECONDS)
            except OutcomeUnknownError as error:
                return f"{path} could not be written: {error}"
            if moved.status == 0:
                return ""
            trouble = f"{path} could not be written: {moved.stderr.strip()}"
        return trouble

    def remove_note(self, path: str) -> str:
        """Remove a note's file, there or not; returns what went wrong, as write_note."""
        try:
            ended = self._run_change(("/bin/rm", "-f", path), "", NOTE_SECONDS)
        except OutcomeUnknownError as error:
            return f"{path} could not be removed: {error}"
        return f"{path} could not be removed: {ended.stderr.strip()}" if ended.status else ""

    def _change(self, argv: Argv) -> None:
        privileged = argv if self.shell.is_root else ("/usr/bin/sudo", "-n", *argv)
        # The next look shows what the command did; where the connection is gone, that look raises.
        with suppress(OutcomeUnknownError):
            self._run_change(privileged, "", COMMAND_SECONDS)

    def _run_change(self, argv: Argv, stdin: str, timeout: float) -> Result:
        sent = Step(argv, None, "", self._clock.time())
        if self.dry_run:
            self.steps.append(replace(sent, said="dry run"))
            return Result(0, "", "")
        # The step is recorded before the command is sent, so that it is in the log even of a run
        # that is ended meanwhile.
        self.steps.append(replace(sent, said="sent, and not heard of"))
        try:
            ended = self.shell.run(argv, stdin, timeout)
        except HandlerError as error:
            if isinstance(error, OutcomeUnknownError):
                self.steps[-1] = replace(sent, said=str(error))
            else:
                self.steps.pop()
            raise
        self.steps[-1] = replace(sent, status=ended.status, said=ended.stderr.strip())
        return ended


def _heard(reply: Reply) -> Result:
    if isinstance(reply, OutcomeUnknownError):
        raise reply
    return reply


def _write(file: str) -> Argv:
    # `tee` would follow a link that the owner of the directory may have put there, and would use
    # the caller's umask; `install` does neither.
    return ("/usr/bin/install", "-T", "-m", "644", "/dev/stdin", file)


def _short(argv: Argv) -> str:
    return " ".join((argv[0].rsplit("/", 1)[-1], *argv[1:]))
