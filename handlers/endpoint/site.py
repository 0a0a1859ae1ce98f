"""Look at, withdraw and restore one VIP on one endpoint; believes the kernel, no exit status."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

from anycast_checks.placement import ARGV as ADDRESSES

from ..activators.activator import Activator, Surroundings
from ..activators.choice import choose, first_questions
from ..errors import CommandFailedError, HandlerError, OutcomeUnknownError, UnreachableError
from ..fleet.values import Vip
from ..transport.shell import COMMAND_SECONDS, Answer, Argv, Query, Result, Shell, ask_all
from .look import BOOT, Look, is_announced, notes_argv, read, tells_of_notes

CLOCK: Argv = ("/bin/date", "+%s")
NOTE_SECONDS = 1.0
CHECK_DEFAULT_DEADLINE = 10.0


@dataclass(frozen=True)
class Step:
    """A command that was run to change something.

    ``status`` is None where nobody knows, ``at`` the time it was sent, in seconds since the epoch.
    """

    argv: Argv
    status: int | None
    said: str
    at: float


@dataclass
class Site:
    """One VIP on one endpoint, through a shell; keeps the record of what was changed."""

    shell: Shell
    vip: Vip
    siblings: tuple[Vip, ...] = ()
    dry_run: bool = False
    steps: list[Step] = field(default_factory=list)
    _notes_hang: bool = field(default=False, init=False)
    _ahead: dict[Argv, Answer] = field(default_factory=dict, init=False)

    def look(self) -> Look:
        """See addresses, boot, uptime and notes.

        Raises:
            CommandFailedError: the endpoint has no `ip -json`, or it says what cannot be read.
        """
        notes = Query(notes_argv(self.vip), NOTE_SECONDS)
        answers = ask_all(self.shell, (Query(ADDRESSES), Query(BOOT), notes))
        shown, booted, noted = _heard(answers[0]), _heard(answers[1]), answers[2]
        if not tells_of_notes(noted) and not self._notes_hang:
            # They may have an order of a person's; a disk that hangs costs this time once.
            with suppress(UnreachableError):
                (noted,) = ask_all(self.shell, (Query(notes.argv),))
            self._notes_hang = not tells_of_notes(noted)
        return read(self.vip, shown, booted, noted)

    def is_announced(self) -> bool:
        """See whether the VIP is on the loopback, and nothing else; raises as look does."""
        return is_announced(self.vip, self.shell.run(ADDRESSES))

    def clock(self) -> int:
        """Read the endpoint's clock, in seconds since the epoch."""
        answer = self._ask(CLOCK)
        try:
            return int(answer.stdout)
        except ValueError as error:
            raise CommandFailedError(
                CLOCK, answer.status, f"said {answer.stdout[:40]!r}"
            ) from error

    def confirm(self) -> Result:
        """Run the endpoint's own check once more, unprivileged, within its own deadline."""
        argv = confirmation(self.vip)
        check = Query(argv, _check_deadline(argv) + COMMAND_SECONDS)
        # What an act needs next is asked while it runs.
        ahead = (CLOCK, *first_questions(self.vip))
        confirmed, *answers = ask_all(self.shell, (check, *map(Query, ahead)))
        self._ahead = dict(zip(ahead, answers, strict=True))
        return _heard(confirmed)

    def activator(self) -> Activator:
        """Choose the activator; to be asked before anything is changed.

        Raises:
            UnsupportedActivatorError: nothing there may be used.
        """
        return choose(self.vip, self._run, lambda: self.look().neighbors)

    def withdraw(self, activator: Activator, before: Look) -> tuple[Look, str]:
        """Take the VIP off the loopback.

        Returns:
            The look afterwards, and the command that did it, empty where none has.
        """
        after = before
        for argv in activator.withdraw(self.vip, self._around(before)):
            self._change(argv)
            if self.dry_run:
                continue
            after = self.look()
            if not after.announced:
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
            if after.announced:
                return after, _short(argv)
        return after, ""

    def _around(self, look: Look) -> Surroundings:
        present = all(look.has(sibling) for sibling in self.siblings)
        return Surroundings(look.neighbors, look.shares_label, present)

    def write_note(self, path: str, text: str) -> str:
        """Replace a note's file; returns what stood in the way, empty where nothing did.

        It never raises: a disk that is full must not keep a dead endpoint in the routing.
        """
        new = f"{path}.new"
        trouble = ""
        # Twice, since another monitoring host that wrote it just now has moved the new file away.
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
        """Remove a note's file, there or not; returns what stood in the way, as write_note."""
        try:
            ended = self._run_change(("/bin/rm", "-f", path), "", NOTE_SECONDS)
        except OutcomeUnknownError as error:
            return f"{path} could not be removed: {error}"
        return f"{path} could not be removed: {ended.stderr.strip()}" if ended.status else ""

    def _run(self, argv: Argv) -> Result:
        if argv in self._ahead:
            return _heard(self._ahead.pop(argv))
        return self.shell.run(argv)

    def _ask(self, argv: Argv) -> Result:
        answer = self._run(argv)
        if answer.status != 0:
            raise CommandFailedError(argv, answer.status, answer.stderr)
        return answer

    def _change(self, argv: Argv) -> None:
        privileged = argv if self.shell.is_root else ("/usr/bin/sudo", "-n", *argv)
        # The next look tells; where the connection is gone too, it raises by itself.
        with suppress(OutcomeUnknownError):
            self._run_change(privileged, "", COMMAND_SECONDS)

    def _run_change(self, argv: Argv, stdin: str, timeout: float) -> Result:
        sent = Step(argv, None, "", time.time())
        if self.dry_run:
            self.steps.append(replace(sent, said="dry run"))
            return Result(0, "", "")
        # Before it is sent: whoever is ended while it runs has it in the log.
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


def _heard(answer: Answer) -> Result:
    if isinstance(answer, OutcomeUnknownError):
        raise answer
    return answer


def confirmation(vip: Vip) -> Argv:
    """Build the command that confirms: the VIP's check, its address, and a single try."""
    return check_of(vip, "--tries", "1")


def check_of(vip: Vip, *more: str) -> Argv:
    """Build the command of the VIP's check, with its address and more options."""
    words = list(vip.check)
    # What follows "--" is another plugin's command line.
    place = words.index("--") if "--" in words else len(words)
    return (*words[:place], "-H", vip.address, *more, *words[place:])


def _write(file: str) -> Argv:
    # Not tee, which writes through a link that the owner of the directory may have laid there,
    # and takes the caller's umask.
    return ("/usr/bin/install", "-T", "-m", "644", "/dev/stdin", file)


def _check_deadline(argv: Argv) -> float:
    own = argv[: argv.index("--")] if "--" in argv else argv
    seconds = CHECK_DEFAULT_DEADLINE
    for word, following in zip(own, (*own[1:], ""), strict=True):
        name, _, value = word.partition("=")
        if name == "--deadline":
            with suppress(ValueError):
                seconds = float(value or following)
    return seconds


def _short(argv: Argv) -> str:
    return " ".join((argv[0].rsplit("/", 1)[-1], *argv[1:]))
