"""A check that goes on asking, and its lines, each of which is held to the format."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.program import ENVIRONMENT, command_line

Line = dict[str, Any]

NUMBER = (int, float)
MAYBE = (int, float, type(None))
COMMON: dict[str, type | tuple[type, ...]] = {"seq": int, "uptime": NUMBER}
FORMAT: dict[str, dict[str, type | tuple[type, ...]]] = {
    "stream": {
        "stream": int, "version": str, "boot": str, "check": str, "address": str,
        "interval": NUMBER, "wakeups": list,
    },
    "state": {
        "state": str, "failing": bool, "present": (bool, type(None)), "kind": str, "text": str,
        "seconds": MAYBE, "samples": int, "began": NUMBER,
    },
    "suspect": {"suspect": bool, "kind": str, "began": NUMBER},
    "beat": {
        "beat": int, "samples": int, "seconds": MAYBE, "lag": NUMBER, "discarded": int,
        "dropped": int, "overruns": int,
    },
    "end": {"end": str},
}  # fmt: skip
FAILING = {"refused", "silent", "wrong", "slow"}


def read(line: bytes) -> Line:
    """Read one line, and hold it to the format."""
    assert len(line) <= 512, line
    assert line.endswith(b"\n"), line
    assert all(0x20 <= byte < 0x7F for byte in line[:-1]), line
    made: Line = json.loads(line)
    (kind,) = FORMAT.keys() & made.keys()
    fields = FORMAT[kind] | COMMON
    assert made.keys() == fields.keys(), made
    for key, types in fields.items():
        value = made[key]
        assert isinstance(value, types), made
        assert isinstance(value, bool) <= (
            bool in (types if isinstance(types, tuple) else (types,))
        )
    if kind == "state":
        assert made["state"] in {"OK", "WARNING", "CRITICAL", "UNKNOWN"}, made
        assert made["failing"] == (made["kind"] in FAILING) == (made["samples"] > 0), made
        assert made["began"] <= made["uptime"], made
    return made


class Streaming:
    """A stream, and all that it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], number: int) -> None:
        self.process = process
        self.seen: list[Line] = []
        self._number = number
        self._kept = b""

    def until(self, wanted: Callable[[Line], object], seconds: float = 30.0) -> Line:
        """Return the next line that is wanted; it must come in time."""
        for line in self.lines(seconds):
            if wanted(line):
                return line
        raise AssertionError(f"it did not come: {self.seen[-20:]}")

    def lines(self, seconds: float = 30.0) -> Iterator[Line]:
        """Yield the lines that come, until the stream ends or the time is up."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            while b"\n" in self._kept:
                line, _, self._kept = self._kept.partition(b"\n")
                self.seen.append(read(line + b"\n"))
                yield self.seen[-1]
            if select.select([self._number], [], [], left)[0]:
                more = os.read(self._number, 65536)
                if not more:
                    assert self._kept == b""
                    return
                self._kept += more

    def rest(self) -> list[Line]:
        """Wait for the end of the stream, and return all lines that have not been read yet."""
        found = list(self.lines())
        assert self.process.wait(30) == 3
        return found

    def terminate(self) -> list[Line]:
        """End the stream by a signal, and return all lines that have not been read yet."""
        self.process.send_signal(signal.SIGTERM)
        return self.rest()

    @property
    def memory(self) -> int:
        """The resident memory in KiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            (line,) = (line for line in file if line.startswith("VmRSS:"))
        return int(line.split()[1])


@contextmanager
def streaming(
    *arguments: str,
    wrapper: Sequence[str] = (),
    before: str = "",
    stream: int | None = None,
    **options: Any,
) -> Iterator[Streaming]:
    """Start a stream with these arguments, and end it with the block.

    Args:
        arguments: the command line.
        wrapper: a command that runs another one, which stands in front.
        before: some preparation in Python.
        stream: the file descriptor to read, where ``stdout`` is given.
        options: what `subprocess.Popen` takes.
    """
    options = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    with subprocess.Popen(
        [*wrapper, *command_line(*arguments, before=before)],
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
        **options,
    ) as process:
        try:
            if stream is None:
                assert process.stdout
                stream = process.stdout.fileno()
            yield Streaming(process, stream)
        finally:
            process.kill()
            assert process.stderr
            assert process.stderr.read() == b""
