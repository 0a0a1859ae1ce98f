"""The lab that `up` left running, as noted under /run."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LabError
from .host import Host
from .waiting import wait_until

DIRECTORY = Path("/run/anycast-lab")
NOTE, NEW = DIRECTORY / "lab.json", DIRECTORY / "lab.json.new"
DOWN_SECONDS = 30.0


@contextmanager
def occupied() -> Iterator[None]:
    """Be the one lab of the machine that `exec` and `down` find, and leave no trace in the end.

    Raises:
        LabError: another lab is up.
    """
    lock = _lock()
    if lock is None:
        raise LabError("a lab is up already: end it with `python -m lab down`")
    try:
        yield
    finally:
        _clean(lock)


def note(hosts: dict[str, Host]) -> None:
    """Tell `exec` and `down` where the hosts are."""
    pids = {name: host.pid for name, host in hosts.items()}
    NEW.write_text(json.dumps({"keeper": os.getpid(), "hosts": pids}))
    NEW.replace(NOTE)


def find() -> tuple[int, dict[str, Host]] | None:
    """Return the keeper's pid and the hosts; None where no lab is up.

    Raises:
        LabError: a lab is being built or ended.
    """
    lock = _lock()
    if lock is not None:  # no lab is up, so the files are left from a lab that was killed
        _clean(lock)
        return None
    try:
        document = json.loads(NOTE.read_text())
    except FileNotFoundError as error:
        raise LabError("the lab is just being started or ended: try again") from error
    hosts = {name: Host(name, pid) for name, pid in document["hosts"].items()}
    return int(document["keeper"]), hosts


def end(keeper: int) -> None:
    """End the lab of that keeper, and wait until nothing of it is left."""
    os.kill(keeper, signal.SIGTERM)
    wait_until(lambda: not DIRECTORY.exists(), "the lab ends", DOWN_SECONDS)


def _lock() -> int | None:
    """Make the directory and lock it; None where another process holds the lock.

    The lock, not the note, says that a lab is up, since it ends however its holder ends.
    """
    while True:
        DIRECTORY.mkdir(mode=0o755, exist_ok=True)
        try:
            lock = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), DIRECTORY.stat()):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)  # the directory was removed meanwhile


def _clean(lock: int) -> None:
    for file in (NEW, NOTE):
        file.unlink(missing_ok=True)
    DIRECTORY.rmdir()
    os.close(lock)
