"""What the notes of an endpoint are, as the output about them tells it."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from ..activators import names
from ..errors import CommandFailedError, GateRefusedError, OutcomeUnknownError
from ..fleet.values import Vip
from ..transport.refusal import is_refused
from ..transport.shell import Argv, Reply
from . import latch as notes
from . import mask
from .latch import Hold, Latch
from .numbers import uptime

# Marks of a file that is missing, and of a file whose text is unknown or makes no sense.
NONE, ANY = "none", "any"
MISSING, UNHEARD = "No such file or directory", "nothing was heard of it"
LONGEST_WHY = 200
# Until when, in the endpoint's uptime, a route may answer for the VIP; root's, like the masks.
DRAINING = "/run/anycast-act/draining."
# Complaints about the hold file that may hide an order, so the hold counts. Every other complaint
# means a failing disk.
HIDES_AN_ORDER = {
    "Permission denied",
    "Operation not permitted",
    "Is a directory",
    "Not a directory",
    "Too many levels of symbolic links",
    UNHEARD,
}


class Noted(NamedTuple):
    """The two notes on a VIP.

    ``hold_unknown`` is true where it cannot be told whether there is a hold. The marks tell the
    helper on the endpoint which text each file had: a digest, NONE, or ANY. ``masked`` names the
    activator whose program is kept from bringing the VIP back; empty for none. ``draining`` is the
    uptime until which a route may answer for the VIP, None where there is no such route.
    """

    latch: Latch = Latch()
    hold: Hold | None = None
    hold_unknown: bool = False
    troubles: tuple[str, ...] = ()
    latch_mark: str = ANY
    hold_mark: str = ANY
    masked: str = ""
    draining: float | None = None


def notes_argv(vip: Vip) -> Argv:
    """Build the command that shows the notes, and says in English which of them is missing."""
    of_root = (DRAINING + vip.address, mask.NOTE + vip.address)
    files = (*of_root, notes.latch_path(vip.address), notes.hold_path(vip.address))
    return ("/usr/bin/env", "LC_ALL=C", "/usr/bin/head", "-v", "-c", "65536", *files)


def tells_of_notes(noted: Reply) -> bool:
    """Whether a reply says anything about the notes; if not, they may be asked for once more."""
    if isinstance(noted, OutcomeUnknownError):
        return False
    return is_refused(noted) or notes.DIRECTORY in noted.stdout + noted.stderr


def read_notes(vip: Vip, noted: Reply) -> Noted:
    """Read the reply to the command of `notes_argv`."""
    argv = notes_argv(vip)
    if isinstance(noted, OutcomeUnknownError):
        return Noted(hold_unknown=True, troubles=(str(noted),))
    if is_refused(noted):
        return Noted(hold=notes.UNREADABLE_HOLD, troubles=(str(GateRefusedError(argv)),))
    if not tells_of_notes(noted):
        failed = CommandFailedError(argv, noted.status, noted.stderr)
        return Noted(hold_unknown=True, troubles=(str(failed),))
    files = split_files(noted.stdout)
    drain_path, masked_path, latch_path, hold_path = argv[-4:]
    by = files.get(masked_path, "").partition(" ")[0].strip()
    read = Noted(masked=by if by in names() else "", draining=_until(files.get(drain_path)))
    text, why = _note(latch_path, files, noted.stderr)
    if not why:
        read = read._replace(latch_mark=mark_of(text))
    if text is not None:
        try:
            read = read._replace(latch=notes.parse(text))
        except ValueError as error:
            why = str(error)
    if why:
        read = read._replace(troubles=(f"{latch_path} cannot be read: {why}",), latch_mark=ANY)
    text, why = _note(hold_path, files, noted.stderr)
    if not why:
        hold = None if text is None else notes.parse_hold(text)
        return read._replace(hold=hold, hold_mark=mark_of(text))
    trouble = f"{hold_path} cannot be read: {why}"
    read = read._replace(troubles=(*read.troubles, trouble))
    if why in HIDES_AN_ORDER:
        return read._replace(hold=notes.UNREADABLE_HOLD)
    return read._replace(hold_unknown=True)


def _until(text: str | None) -> float | None:
    """Read until when a drain may last; a note that was cut short is one that was left behind."""
    if text is None:
        return None
    try:
        return uptime(text)
    except ValueError:
        return 0.0


def mark_of(text: str | None) -> str:
    """Give the mark of a note's text, None for a note that is missing."""
    return NONE if text is None else sha256(text.rstrip("\n").encode()).hexdigest()


def _note(path: str, files: dict[str, str], complaints: str) -> tuple[str | None, str]:
    """Give a note's text, or why it cannot be read; neither where there is no such note."""
    complaint = next((line for line in complaints.splitlines() if path in line), "")
    why = complaint.rpartition(": ")[2]
    if why == MISSING:
        return None, ""
    # head prints the name of a file that it can open, even where it then cannot read the file.
    if why or path not in files:
        return None, why[:LONGEST_WHY] or UNHEARD
    return files[path], ""


def split_files(text: str) -> dict[str, str]:
    """Split what `head -v` prints; the first mention of a file counts."""
    files: dict[str, list[str]] = {}
    name = ""
    for line in text.split("\n"):
        if line.startswith("==> ") and line.endswith(" <==") and line[4:-4] not in files:
            name = line[4:-4]
            files[name] = []
        elif name:
            files[name].append(f"{line}\n")
    return {name: "".join(lines) for name, lines in files.items()}
