"""Run another program, bounded in its time and in what it prints; standard library only."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .errors import CheckError

_CHUNK = 65536


class Ended(NamedTuple):
    """How a program ended.

    Attributes:
        status: the exit status; negative for the number of the signal that ended it.
        stdout: as much of it as was wanted.
        stderr: likewise.
        cut: there was more.
    """

    status: int
    stdout: bytes
    stderr: bytes
    cut: bool


def run(argv: Sequence[str], until: float, limit: int) -> Ended:
    """Run a program to its end, and end it, with all that it has started, where it takes too long.

    Args:
        argv: the program and its arguments; no shell is involved.
        until: when it must have ended, by `time.monotonic`.
        limit: bytes of stdout, and of stderr, that are kept; the rest is read and forgotten.

    Raises:
        CheckError: it could not be started, or did not end in time.
    """
    name = os.path.basename(argv[0])
    with _started(argv) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        cut = _drain(process, kept, until, limit)
        status = process.poll()
        if status is None:
            raise CheckError(f"{name} did not end in time")
        stdout, stderr = kept.values()
        return Ended(status, bytes(stdout), bytes(stderr), cut)


@contextlib.contextmanager
def _started(argv: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    try:
        # A session of its own, so that what it starts can be ended with it.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CheckError(f"cannot run {argv[0]}: {reason.lower()}") from error
    with process:
        try:
            yield process
        finally:
            # What it has left behind; where that is nothing, there is no such group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def _drain(
    process: "subprocess.Popen[bytes]", kept: dict[int, bytearray], until: float, limit: int
) -> bool:
    """Read until the program has ended or the time is over; tell whether it said too much.

    Its end counts, not that of its output, which a program in the background may keep open.
    """
    cut = False
    end = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        for number in (*kept, end):
            poll.register(number, select.POLLIN)
        for number in kept:
            os.set_blocking(number, False)
        ended = False
        while not ended:
            left = until - time.monotonic()
            ready = [number for number, _ in poll.poll(max(0.0, left) * 1000)]
            if not ready:
                return cut
            ended = end in ready
            for number in set(kept) if ended else ready:
                cut |= _read(number, kept[number], poll, limit)
            process.poll()
    finally:
        os.close(end)
    return cut


def _read(number: int, into: bytearray, poll: "select.poll", limit: int) -> bool:
    """Read what there is, up to what a pipe holds."""
    cut = False
    for _ in range(16):
        try:
            data = os.read(number, _CHUNK)
        except BlockingIOError:
            break
        if not data:
            with contextlib.suppress(KeyError):
                poll.unregister(number)
            break
        cut |= len(into) + len(data) > limit
        into += data[: limit - len(into)]
    return cut
