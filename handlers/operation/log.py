"""The log of decisions: one JSON line for each decision, and one line to syslog."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import syslog
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from anycast_checks.line import clean
from anycast_checks.times import iso

from ..transport.clock import Clock, Deadline
from .log_line import one_line
from .request import user

SYSLOG_SECONDS = 0.5
# Longest wait for the line of another run, and the pause between two looks.
LOCK_SECONDS, RETRY_SECONDS = 0.5, 0.01
# The directories belong to the monitoring user, and root may be running this. So no link is
# followed, and no pipe is waited for.
WARILY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class DecisionLog:
    """The log of decisions of this host, and its syslog."""

    def __init__(self, file: str, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._syslog = Syslog()

    def write(self, entry: Mapping[str, Any]) -> str:
        """Append one decision; returns what went wrong, empty where nothing did.

        It never raises, because a full disk of the monitoring host must neither undo nor hide what
        was done on the endpoint.
        """
        line = one_line({"time": iso(self._clock.time()), **entry})
        try:
            descriptor = open_shared(self._file, os.O_RDWR | os.O_APPEND)
            try:
                whole = self._append(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            return f"not logged: {self._file}: {why_not(self._file, error)}"
        return "" if whole else f"not logged: {self._file}: no space left"

    def _append(self, descriptor: int, line: bytes) -> bool:
        """Append a line; returns whether all of it was written."""
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind == stat.S_IFCHR:  # /dev/null is a way to have no log
            return os.write(descriptor, line) == len(line)
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        locked = self._lock(descriptor)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # A full disk has cut the last line short, which must not spoil this one too.
            line = b"\n" + line
        # A single write keeps the lines of two simultaneous runs apart.
        written = os.write(descriptor, line)
        whole = written == len(line)
        if not whole and locked and os.fstat(descriptor).st_size == size + written:
            os.ftruncate(descriptor, size)
        return whole

    def _lock(self, descriptor: int) -> bool:
        """Lock the log for one line; a run that hangs in its own line stops nobody else's."""
        until = Deadline(self._clock, LOCK_SECONDS)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if until.passed:
                    return False
                self._clock.sleep(RETRY_SECONDS)
            else:
                return True

    def tell_syslog(self, text: str, *, warning: bool) -> None:
        """Send one line to syslog."""
        self._syslog.send(text, warning=warning)


def only_a_file(descriptor: int) -> int:
    """Give a descriptor back, or close it where what was opened is no regular file.

    Raises:
        OSError: it is no regular file.
    """
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a file")


def open_shared(file: str, flags: int) -> int:
    """Open a file of the handler; where it is missing, create it for the owner of its directory.

    The first run is often one by hand, as root, and must not lock the automation out.

    Raises:
        OSError: as open does.
    """
    # Only a file that was created here changes its owner.
    flags |= WARILY
    try:
        return os.open(file, flags)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:  # another run has created it just now
        return os.open(file, flags)
    if os.geteuid() == 0:
        owner = os.stat(os.path.dirname(file))
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def why_not(file: str, error: OSError) -> str:
    """Say why a file of the handler cannot be used, and what to do about it."""
    try:
        kind = KINDS.get(stat.S_IFMT(os.lstat(file).st_mode), "")
    except OSError:
        kind = ""
    if kind and error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"it is {kind}, not a file: remove it"
    said = error.strerror or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return f"{said}: make its directory"
    return f"{said}: let {user()} write it" if isinstance(error, PermissionError) else said


class Syslog:
    """Sends lines to the syslog of this host; where there is none, nothing happens."""

    # The process has one such thread at a time, because the C library has one lock for syslog: as
    # long as a hung daemon keeps a thread in it, another call would stop all threads.
    _sending: ClassVar[threading.Thread | None] = None

    def send(self, text: str, *, warning: bool) -> None:
        """Send one line, and wait for it half a second at most.

        A syslog daemon that hangs keeps a thread and not the run. As long as it does, lines are
        lost.
        """
        if Syslog._sending and Syslog._sending.is_alive():
            return
        level = syslog.LOG_WARNING if warning else syslog.LOG_INFO
        line = clean(text, 900)
        Syslog._sending = threading.Thread(target=_send, args=(level, line), daemon=True)
        Syslog._sending.start()
        Syslog._sending.join(SYSLOG_SECONDS)


def _send(level: int, line: str) -> None:
    syslog.openlog("anycast-handler", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(level, line)
