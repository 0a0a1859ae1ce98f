"""The log of decisions: one JSON line each, and one line to syslog."""

from __future__ import annotations

import json
import os
import signal
import syslog
import time
from collections.abc import Mapping
from typing import Any

from anycast_checks.line import clean

SYSLOG_SECONDS = 0.5


def write(file: str, entry: Mapping[str, Any]) -> str:
    """Append one decision; returns what stood in the way, empty where nothing did.

    A full disk here must not undo, or hide, what was done there: it never raises.
    """
    line = json.dumps({"time": _now(), **entry}, separators=(",", ":")) + "\n"
    try:
        descriptor = open_shared(file, os.O_WRONLY | os.O_APPEND)
        try:
            # One write: lines of two runs at once do not mix.
            written = os.write(descriptor, line.encode())
            if written != len(line):
                # Half a line would spoil the next one too.
                os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - written))
        finally:
            os.close(descriptor)
    except OSError as error:
        return f"not logged: {file}: {error.strerror}"
    return "" if written == len(line) else f"not logged: {file}: no space left"


def open_shared(file: str, flags: int) -> int:
    """Open a file of the handler's own, creating it for the owner of its directory.

    A first run by hand is often root's; the automation must not be locked out by it.

    Raises:
        OSError: as open does.
    """
    # The directory belongs to the monitoring user, and root may be running this: no link is
    # followed, no pipe waited for, and nothing given away but what was made here.
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(file, flags)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:  # by another run, just now
        return os.open(file, flags)
    if os.geteuid() == 0:
        owner = os.stat(os.path.dirname(file))
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def to_syslog(text: str, *, warning: bool) -> None:
    """Send one line to syslog; where there is none, nothing happens."""
    # A syslog daemon that hangs would hold us for ever: a signal ends the wait for it.
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, SYSLOG_SECONDS, SYSLOG_SECONDS)
    try:
        syslog.openlog("anycast-handler", syslog.LOG_PID, syslog.LOG_DAEMON)
        syslog.syslog(syslog.LOG_WARNING if warning else syslog.LOG_INFO, clean(text, 900))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _now() -> str:
    now = time.time()
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{text}.{int(now % 1 * 1000):03d}Z"
