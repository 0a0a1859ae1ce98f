"""Run another program, with limits on its time and on its output; standard library only."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .children import CHILDREN
from .errors import NotStartedError, ProgramTimeoutError

_CHUNK = 65536
_GLANCE = 0.05
_REAP = 0.5


class Ended(NamedTuple):
    """How a program ended.

    Attributes:
        status: exit status, or the negative number of the signal that ended the program.
        stdout: standard output, up to the limit.
        stderr: standard error, up to the limit.
        cut: whether the program printed more than the limit.
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
    at_terminal: bool = False,
) -> Ended:
    """Run a program to its end or its time limit, then kill all that is left of it.

    Args:
        argv: the program and its arguments; no shell is involved.
        until: the time by which the program must have ended, by `time.monotonic`.
        limit: bytes of stdout, and of stderr, that are kept; the rest is read and dropped.
        stdin: the program's standard input.
        cwd: the program's working directory; None for that of this process.
        env: the program's environment; None for that of this process.
        leave: kill nothing, neither a program that takes too long nor what it has started.
        at_terminal: leave the program the terminal of this process, where it may ask a person for a
            password; what the program has started is not killed then.

    Raises:
        NotStartedError: the program could not be started.
        ProgramTimeoutError: the program did not end in time.
    """
    with _started(argv, stdin, cwd, env, at_terminal=at_terminal) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        status = None
        try:
            cut = _drain(process, kept, until, limit)
            # A program that ends after this line may have printed something that nobody has read,
            # so its status must not count.
            status = process.returncode
        finally:
            if at_terminal:
                _end_alone(process)
            elif not leave:
                _end(process)
        if status is None:
            if process.returncode is None:
                # The thread waits for the end of the program, which would else become a zombie.
                threading.Thread(target=process.wait, daemon=True).start()
            raise ProgramTimeoutError(f"{os.path.basename(argv[0])} did not end in time")
        stdout, stderr = kept.values()
        return Ended(status, bytes(stdout), bytes(stderr), cut)


@contextlib.contextmanager
def _started(
    argv: Sequence[str],
    stdin: bytes,
    cwd: str | None,
    env: Mapping[str, str] | None,
    *,
    at_terminal: bool,
) -> Iterator["subprocess.Popen[bytes]"]:
    with contextlib.ExitStack() as stack:
        given: int = subprocess.DEVNULL
        try:
            if stdin:
                # A pipe would have to be filled while the program reads it.
                given = os.memfd_create("stdin")
                stack.callback(os.close, given)
                os.write(given, stdin)
                os.lseek(given, 0, os.SEEK_SET)
            with CHILDREN.starting() as groups:
                process = subprocess.Popen(
                    argv,
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=cwd,
                    env=env,
                    # All that the program starts is in its session, and can be killed with it.
                    start_new_session=not at_terminal,
                )
                if not at_terminal:
                    groups.add(process.pid)
            stack.callback(CHILDREN.remove, process.pid)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NotStartedError(f"cannot run {argv[0]}: {reason.lower()}") from error
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stack.enter_context(stream)
        yield process


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    _wait(process)


def _end_alone(process: "subprocess.Popen[bytes]") -> None:
    # A program that asks for a password has to let the terminal show again what is typed.
    process.terminate()
    _wait(process)
    process.kill()
    _wait(process)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    # Even SIGKILL does not end a process that waits for a disk.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAP)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program and what it has started; the group is gone where nothing is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _drain(
    process: "subprocess.Popen[bytes]", kept: dict[int, bytearray], until: float, limit: int
) -> bool:
    """Read until the program has ended or its time is over; tell whether it printed too much.

    The end of its output says nothing: a program in the background may keep that open.
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
        # This must be looked at before the output is read, so that no output is missed.
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
    """Read what a pipe holds now, and tell whether that was the end of the output."""
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
