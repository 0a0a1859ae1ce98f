"""Give a process a signal, at an instant that is known."""

from __future__ import annotations

import signal

from lab.host import Host

STRIKE = """
import os, sys, time
number, process = int(sys.argv[1]), int(open(sys.argv[2]).read())
print(time.time())
os.kill(process, number)
"""


def strike(host: Host, number: signal.Signals, pidfile: str) -> float:
    """Give the process whose id is in a file a signal; returns when, in seconds of the epoch."""
    argv = ["python3", "-I", "-c", STRIKE, str(int(number)), pidfile]
    return float(host.run(argv, check=True).stdout)
