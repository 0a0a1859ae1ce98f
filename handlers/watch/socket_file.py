"""The UNIX socket in the state directory on which the watcher answers `status --watcher`."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress

NAME = "watch.sock"
# Bytes of a path that fit into the address of a UNIX socket, which ends with a NUL.
LONGEST = 107
_CREDENTIALS = struct.Struct("3i")


def socket_file(state: str) -> str:
    """Give the path of the socket in a state directory."""
    return f"{state}/{NAME}"


def listening(file: str, backlog: int) -> socket.socket:
    """Listen at a path, for this user and root alone, in the place of whatever had that path.

    Raises:
        OSError: it cannot be; of a path that is too long with ENAMETOOLONG.
    """
    if len(os.fsencode(file)) > LONGEST:
        raise OSError(errno.ENAMETOOLONG, f"its path is longer than {LONGEST} bytes")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # No longer than the name itself, whatever the number of the process is.
    new = f"{os.path.dirname(file)}/.{os.getpid()}"
    try:
        # The file that bind makes has this mode from its beginning.
        os.fchmod(made.fileno(), 0o600)
        with suppress(FileNotFoundError):
            os.unlink(new)
        made.bind(new)
        try:
            made.listen(backlog)
            # Whoever asks meanwhile gets an answer of the one or of the other; what is replaced is
            # never followed where it is a link.
            os.replace(new, file)
        except OSError:
            os.unlink(new)
            raise
    except OSError:
        made.close()
        raise
    return made


def identity(file: str) -> tuple[int, int] | None:
    """Tell one file of a path from another one; None where there is none."""
    try:
        found = os.lstat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def other_process(connected: socket.socket) -> tuple[int, int]:
    """Give process and user of whoever listens, as the kernel knows them. Raises: OSError."""
    size = _CREDENTIALS.size
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    process, user, _ = _CREDENTIALS.unpack(found)
    return process, user


def listener(file: str) -> int | None:
    """Give the process that listens at a path; None where none does, or nobody can tell."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        # One that hangs, with more clients than it has room for, is not waited for.
        asking.settimeout(0)
        try:
            asking.connect(file)
            return other_process(asking)[0]
        except BlockingIOError:
            return 0
        except OSError:
            return None
