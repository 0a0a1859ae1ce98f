"""A distance between a host of a test and its clients: a delay, and packets that are lost."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.slow_link import CLONE_NEWNET, Way, open_tun
from tests.support.namespace import Namespace

NEAR, FAR = "198.51.100.1", "198.51.100.2"


@contextmanager
def far_away(host: Namespace, round_trip: float, loss: float = 0.0) -> Iterator[tuple[str, ...]]:
    """Give a host the address FAR, and a client that is so many seconds away from it.

    Args:
        host: the far host.
        round_trip: seconds there and back again.
        loss: the share of packets that is lost on each way.

    Returns:
        What a command line begins with that runs on the client's side.
    """
    argv = host.argv(sys.executable, __file__, str(round_trip), str(loss))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            pid = process.stdout.readline().strip()
            assert pid, "there is no distance"
            yield ("nsenter", "--target", pid, "--net", "--")
        finally:
            process.kill()


def main(round_trip: float, loss: float) -> None:
    """Carry packets between this network namespace and a new one, which this process enters."""
    far = open_tun("way", FAR, "peer", NEAR)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    near = open_tun("way", NEAR, "peer", FAR)
    print(os.getpid(), flush=True)
    Way((far, near), round_trip, loss).carry()


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
