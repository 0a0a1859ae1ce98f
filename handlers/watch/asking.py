"""Asking the watcher of this host what it knows, within bounds: anybody might answer."""

from __future__ import annotations

import os
import re
import socket
import stat
import time

from anycast_checks.line import clean

from ..errors import HandlerError
from ..fleet.values import Fleet
from .document import LONGEST_PATH
from .reading import Known, NoBoardError, OlderBoardError, read
from .socket_file import LONGEST, other_process, socket_file

# The watcher answers within some tens of milliseconds; a person waits no longer than two seconds.
SECONDS = 1.5
# Bytes of an answer: those of any, and for each endpoint; most need a tenth of this.
ANY, OF_EACH = 100_000, 10_000
# Older knowledge is none. The watcher takes note of itself every three seconds at least, and
# gives the same answer to all who ask within two seconds.
OLD_SECONDS = 8.0
REMEDY = "`status` without --watcher asks the endpoints"
RESTART = "`systemctl restart anycast-watch`"
REQUEST = b"GET /status.json HTTP/1.0\r\nHost: localhost\r\n\r\n"
_OK = re.compile(rb"HTTP/1\.[01] 200[ \r]")
ROOT = 0


class NotToldError(HandlerError):
    """The watcher of this host cannot be asked, or what it knows is of no use."""

    def __init__(self, what: str) -> None:
        super().__init__(what, REMEDY)


def ask(fleet: Fleet, now: float) -> Known:
    """Ask the watcher of this host what it knows of a fleet; ``now`` is the wall clock.

    Raises:
        NotToldError: there is none, it does not answer, hangs, or watches by another fleet file.
    """
    file = socket_file(fleet.paths.state)
    size = ANY + OF_EACH * sum(len(vip.endpoints) for vip in fleet.vips)
    head, _, body = _exchange(file, size).partition(b"\r\n\r\n")
    if not _OK.match(head):
        raise NotToldError(f"{file}: what answers there is not the watcher")
    try:
        known = read(body)
    except OlderBoardError as error:
        what = f"the watcher of this host is older than this command: {RESTART}"
        raise NotToldError(what) from error
    except NoBoardError as error:
        why = clean(str(error), 100)
        raise NotToldError(f"{file}: what answers there is not the watcher ({why})") from error
    age = max(known.age, now - known.at)
    if age > OLD_SECONDS:
        raise NotToldError(f"the watcher hangs: what it knows is {age:.0f} s old")
    ours = clean(os.path.realpath(fleet.file), LONGEST_PATH)
    if known.fleet_file != ours:
        raise NotToldError(f"the watcher of this host watches by {known.fleet_file}, not {ours}")
    return known._replace(age=age)


def _exchange(file: str, size: int) -> bytes:
    """Ask at a socket, and give the whole answer, of so many bytes at most."""
    try:
        if not stat.S_ISSOCK(os.lstat(file).st_mode):
            raise NotToldError(f"{file} is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            return _answer(asking, file, size)
    except FileNotFoundError as error:
        raise NotToldError(f"no watcher runs on this host ({file} is not there)") from error
    except ConnectionRefusedError as error:
        raise NotToldError(f"no watcher runs on this host (nobody listens at {file})") from error
    except PermissionError as error:
        what = f"{file}: only root and the user of the watcher may ask it"
        raise NotToldError(what) from error
    except (TimeoutError, BlockingIOError) as error:
        raise NotToldError(f"the watcher does not answer within {SECONDS:g} s") from error
    except OSError as error:
        # A path that is too long is refused by Python itself, without a number.
        why = error.strerror or f"its path is longer than {LONGEST} bytes"
        raise NotToldError(f"{file}: {why}") from error


def _answer(asking: socket.socket, file: str, size: int) -> bytes:
    until = time.monotonic() + SECONDS
    asking.settimeout(SECONDS)
    asking.connect(file)
    _, user = other_process(asking)
    # Whoever can write into the directory may have put another socket there.
    if user not in (ROOT, os.geteuid(), os.stat(os.path.dirname(file)).st_uid):
        raise NotToldError(f"{file}: what listens there runs as another user ({user})")
    asking.sendall(REQUEST)
    said = bytearray()
    while more := asking.recv(65536):
        said += more
        if len(said) > size:
            raise NotToldError(f"{file}: what answers there says more than a watcher")
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        asking.settimeout(left)
    return bytes(said)
