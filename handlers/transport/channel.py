"""One command on one channel of an SSH connection."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event
from typing import Protocol

from ..errors import OutcomeUnknownError
from .bounded import send_input
from .clock import SYSTEM_CLOCK, Deadline
from .lean_paramiko import paramiko
from .shell import LARGEST_OUTPUT, Result

# Why there is no exit status.
ENDED = "the connection ended, or a signal ended the command"
# A process that the command left behind may keep the streams open after the command has ended.
DRAIN_SECONDS = 0.5
# Such a process may also go on writing, so the reading has a time limit of its own.
LONGEST_DRAIN = 2.0
# Bytes of an output that may have any character in it.
LONGEST_TEXT = 65536
# Seconds after a command's time limit by which the timer has closed its connection.
LONGEST_GRACE = 2.0


class Channel(Protocol):
    """The methods of paramiko's channel that are used here."""

    status_event: Event

    def settimeout(self, timeout: float | None) -> None:
        """Bound each of the operations below, in seconds."""

    def recv(self, nbytes: int) -> bytes:
        """Read from the command's standard output."""

    def recv_stderr(self, nbytes: int) -> bytes:
        """Read from the command's standard error."""

    def recv_exit_status(self) -> int:
        """Give the command's exit status, negative where there is none."""


def send(channel: paramiko.Channel, argv: Sequence[str], stdin: str, until: Deadline) -> None:
    """Send a command and the whole of its standard input.

    The input takes a round trip of its own, because sshd allows no input before the command.
    """
    seconds = until.left(until.seconds)
    channel.settimeout(seconds)
    channel.event = _BoundedEvent(seconds + LONGEST_GRACE)
    channel.exec_command(shlex.join(argv))
    send_input(channel, stdin.encode())


def receive(channel: Channel, argv: Sequence[str], until: Deadline) -> Result:
    """Wait for the end of a command that was sent, until a deadline.

    Raises:
        OutcomeUnknownError: the command did not end in time, or its end was not heard.
    """
    if not channel.status_event.wait(until.left(until.seconds)):
        raise OutcomeUnknownError(argv, f"it did not end within {until.seconds:.1f} s")
    status = channel.recv_exit_status()
    if status < 0:
        raise OutcomeUnknownError(argv, ENDED)
    channel.settimeout(DRAIN_SECONDS)
    patience = Deadline(SYSTEM_CLOCK, LONGEST_DRAIN)
    stdout = text(_drain(channel.recv, patience))
    stderr = text(_drain(channel.recv_stderr, patience))
    return Result(status, stdout, stderr)


class _BoundedEvent(Event):
    """Replaces the event of a channel, for which paramiko waits without a time limit.

    A connection that ends just before that wait would never set the event.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as usual. Raises: TimeoutError, where no time was given and the event is not set."""
        is_set = super().wait(self._seconds if timeout is None else timeout)
        if timeout is None and not is_set:
            raise TimeoutError(f"no reply within {self._seconds:.1f} s")
        return is_set


def _drain(receive: Callable[[int], bytes], patience: Deadline) -> bytes:
    """Read one stream of a command that has ended."""
    # Not one growing array: a long answer mostly comes in one piece, which is then not copied.
    pieces: list[bytes] = []
    kept = 0
    with suppress(TimeoutError):
        while more := receive(LARGEST_OUTPUT):
            pieces.append(more)
            kept += len(more)
            if kept >= LARGEST_OUTPUT or patience.passed:
                break
    return b"".join(pieces)


def text(data: bytes) -> str:
    """Decode what a command has printed."""
    # One character in it may make Python keep four bytes for each. So a long text is taken for one
    # of single bytes, which in the long answers of honest programs it is.
    return data.decode(errors="replace") if len(data) <= LONGEST_TEXT else data.decode("latin-1")
