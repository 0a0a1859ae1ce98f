"""What a program costs, in CPU time, wall time and memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.errors import LabError
from lab.host import ENVIRONMENT, Host

# Running this costs as much as entering a host, which is subtracted from the cost of a program.
NOTHING = ("true",)
LONGEST_SECONDS = 600.0


@dataclass(frozen=True)
class Cost:
    """One run, or the median of several: seconds of CPU and of wall time, and peak MiB.

    The CPU time includes that of the programs that it ran; the memory is that of the largest one.
    """

    cpu: float
    wall: float
    memory: float = 0.0

    def __str__(self) -> str:
        """Show it for a table."""
        return f"{self.cpu * 1000:7.1f} {self.wall * 1000:7.1f} {self.memory:6.1f}"


def run(
    host: Host, argv: Sequence[str], user: str = "root", longest: float = LONGEST_SECONDS
) -> tuple[int, Cost]:
    """Run a program once; return its exit status, negative for a signal, and its cost.

    It is killed after ``longest`` seconds. The memory is right only where the program needs more
    than this process.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        host.enter(argv, user),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(ENVIRONMENT),
    )
    killing = threading.Timer(longest, process.kill)
    killing.start()
    _, status, usage = os.wait4(process.pid, 0)
    killing.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    return process.returncode, Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def cost(host: Host, argv: Sequence[str], *, expect: int = 0, user: str = "root") -> Cost:
    """Run a program once. Raises: LabError, where its exit status is not the expected one."""
    status, found = run(host, argv, user)
    if status != expect:
        raise LabError(f"{' '.join(argv)}: exit status {status}")
    return found


def memory(host: Host, argv: Sequence[str], *, user: str = "root") -> float:
    """Measure the peak memory of a program, in MiB."""
    # wait4 would report the memory of this process, which is larger than that of most programs.
    ended = host.run(["/usr/bin/time", "-f", "%M", *argv], user=user, timeout=120)
    return int(ended.stderr.split()[-1]) / 1024


def compare(
    host: Host, programs: Mapping[str, Sequence[str]], runs: int, user: str = "root"
) -> dict[str, list[Cost]]:
    """Run the programs in turn, ``runs`` times each, after one run that does not count."""
    found: dict[str, list[Cost]] = {name: [] for name in programs}
    peaks = {name: memory(host, argv, user=user) for name, argv in programs.items()}
    for turn in range(runs + 1):
        nothing = cost(host, NOTHING, user=user)
        for name, argv in programs.items():
            one = cost(host, argv, user=user)
            if turn:
                cpu, wall = one.cpu - nothing.cpu, one.wall - nothing.wall
                found[name].append(Cost(cpu, wall, peaks[name]))
    return found


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        statistics.median(one.cpu for one in costs),
        statistics.median(one.wall for one in costs),
        statistics.median(one.memory for one in costs),
    )


def ratio(ours: Sequence[Cost], base: Sequence[Cost]) -> float:
    """Return the median of the ratios of CPU time, pair by pair."""
    return statistics.median(one.cpu / other.cpu for one, other in zip(ours, base, strict=True))
