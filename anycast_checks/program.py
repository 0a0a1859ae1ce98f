"""Run another program, bounded in its time and in what it prints; standard library only."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .errors import NotStartedError, ProgramTimeoutError

_CHUNK = 65536
_GLANCE = 0.05
_REAP = 0.5


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


def run_program(
    argv: Sequence[str],
    until: float,
    limit: int,
    *,
    stdin: bytes = b"",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    leave: bool = False,
) -> Ended:
    """Run a program to its end, or until its time is over; and end what is left of it then.

    Args:
        argv: the program and its arguments; no shell is involved.
        until: when it must have ended, by `time.monotonic`.
        limit: bytes of stdout, and of stderr, that are kept; the rest is read and forgotten.
        stdin: what it may read.
        cwd: its directory; None for ours.
        env: its environment; None for ours.
        leave: nothing is ended, neither the program where it takes too long nor what it started.

    Raises:
        NotStartedError: it could not be started.
        ProgramTimeoutError: it did not end in time.
    """
    with _started(argv, stdin, cwd, env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        status = None
        try:
            cut = _drain(process, kept, until, limit)
            # Not asked again: what it said since then is not read.
            status = process.returncode
        finally:
            if not leave:
                _end(process)
        if status is None:
            if process.returncode is None:
                # Whenever it ends, it must not stay as a zombie.
                threading.Thread(target=process.wait, daemon=True).start()
            raise ProgramTimeoutError(f"{os.path.basename(argv[0])} did not end in time")
        stdout, stderr = kept.values()
        return Ended(status, bytes(stdout), bytes(stderr), cut)


@contextlib.contextmanager
def _started(
    argv: Sequence[str], stdin: bytes, cwd: str | None, env: Mapping[str, str] | None
) -> Iterator["subprocess.Popen[bytes]"]:
    with contextlib.ExitStack() as stack:
        given: int = subprocess.DEVNULL
        try:
            if stdin:
                # Not a pipe, which would have to be filled while it is read.
                given = os.memfd_create("stdin")
                stack.callback(os.close, given)
                os.write(given, stdin)
                os.lseek(given, 0, os.SEEK_SET)
            process = subprocess.Popen(
                argv,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=env,
                # Of its own, so that what it starts can be ended with it.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NotStartedError(f"cannot run {argv[0]}: {reason.lower()}") from error
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stack.enter_context(stream)
        yield process


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it, and what it has left behind; where that is nothing, there is no such group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # What waits for a disk does not end even so.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAP)


def _drain(
    process: "subprocess.Popen[bytes]", kept: dict[int, bytearray], until: float, limit: int
) -> bool:
    """Read until the program has ended or the time is over; tell whether it said too much.

    Its end counts, not that of its output, which a program in the background may keep open.
    """
    poll = select.poll()
    for number in kept:
        os.set_blocking(number, False)
        poll.register(number, select.POLLIN)
    open_ends, cut = set(kept), False
    while True:
        left = until - time.monotonic()
        if not open_ends:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, left))
            return cut
        # Looked at before its output, so that nothing is missed of what it said.
        ended = process.poll() is not None
        for number, _ in poll.poll(0 if ended else max(0.0, min(left, _GLANCE)) * 1000):
            data, is_over = _read(number)
            room = limit - len(kept[number])
            kept[number] += data[:room]
            cut |= len(data) > room
            if is_over:
                poll.unregister(number)
                open_ends.remove(number)
        if ended or left <= 0:
            return cut


def _read(number: int) -> tuple[bytes, bool]:
    """Read what there is, up to what a pipe holds; tell whether it was all that will ever come."""
    data = b""
    for _ in range(16):
        try:
            more = os.read(number, _CHUNK)
        except BlockingIOError:
            return data, False
        if not more:
            return data, True
        data += more
    return data, False
