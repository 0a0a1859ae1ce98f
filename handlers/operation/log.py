"""The log of decisions: one JSON line for each decision, and one line to syslog."""

from __future__ import annotations

import json
import os
import syslog
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from anycast_checks.line import clean

from ..transport.clock import Clock

SYSLOG_SECONDS = 0.5


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
        timed = {"time": _iso(self._clock.time()), **entry}
        line = json.dumps(timed, separators=(",", ":")) + "\n"
        try:
            descriptor = open_shared(self._file, os.O_WRONLY | os.O_APPEND)
            try:
                # A single write keeps the lines of two simultaneous runs apart.
                written = os.write(descriptor, line.encode())
                if written != len(line):
                    # Half a line would make the next line unreadable too.
                    os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - written))
            finally:
                os.close(descriptor)
        except OSError as error:
            return f"not logged: {self._file}: {error.strerror}"
        return "" if written == len(line) else f"not logged: {self._file}: no space left"

    def tell_syslog(self, text: str, *, warning: bool) -> None:
        """Send one line to syslog."""
        self._syslog.send(text, warning=warning)


def open_shared(file: str, flags: int) -> int:
    """Open a file of the handler; where it is missing, create it for the owner of its directory.

    The first run is often one by hand, as root, and must not lock the automation out.

    Raises:
        OSError: as open does.
    """
    # The directory belongs to the monitoring user, and root may be running this. So no link is
    # followed, no pipe is waited for, and only a file that was created here changes its owner.
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
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


def _iso(now: float) -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{text}.{int(now % 1 * 1000):03d}Z"
