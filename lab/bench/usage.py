"""What a program that runs has in use."""

from __future__ import annotations

import os
from typing import NamedTuple

from lab.host import Host

TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What processes have in use, added up.

    Attributes:
        processes: how many there are.
        memory: their resident memory, in MiB.
        most: the most that it was, in MiB.
        files: their open file descriptors.
        threads: their threads.
        cpu: the seconds of CPU that they have spent.
    """

    processes: int
    memory: float
    most: float
    files: int
    threads: int
    cpu: float


def usage(host: Host, pattern: str) -> Usage:
    """Add up what the processes of a host use whose command lines match a pattern of pgrep."""
    script = (
        'for p in $(pgrep -f "$1"); do [ "$p" != $$ ] || continue; cat /proc/$p/stat || continue; '
        "grep -E '^(VmRSS|VmHWM|Threads):' /proc/$p/status; echo files $(ls /proc/$p/fd | wc -l); "
        "done"
    )
    shown = host.run(["sh", "-c", script, "usage", pattern]).stdout
    found = Usage(0, 0.0, 0.0, 0, 0, 0.0)
    for line in shown.splitlines():
        words = line.split()
        if words[0] == "VmRSS:":
            found = found._replace(memory=found.memory + int(words[1]) / 1024)
        elif words[0] == "VmHWM:":
            found = found._replace(most=found.most + int(words[1]) / 1024)
        elif words[0] == "Threads:":
            found = found._replace(threads=found.threads + int(words[1]))
        elif words[0] == "files":
            found = found._replace(files=found.files + int(words[1]))
        else:
            ticks = sum(map(int, line.rpartition(")")[2].split()[11:13]))
            found = found._replace(processes=found.processes + 1, cpu=found.cpu + ticks / TICKS)
    return found
