"""A distance between a host of a test and its clients: a delay, and packets that are lost.

Not every kernel has netem, so a process carries each packet from one TUN device to another.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.namespace import Namespace

NEAR, FAR = "198.51.100.1", "198.51.100.2"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


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


def _tun(address: str, peer: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"way", IFF_TUN | IFF_NO_PI))
    for argv in (
        ("link", "set", "lo", "up"),
        ("address", "add", address, "peer", peer, "dev", "way"),
        ("link", "set", "way", "up"),
    ):
        subprocess.run(("ip", *argv), check=True)
    return device


def main(round_trip: float, loss: float) -> None:
    """Carry packets between this network namespace and a new one, which this process enters."""
    far = _tun(FAR, NEAR)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    near = _tun(NEAR, FAR)
    print(os.getpid(), flush=True)
    under_way: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for device in select.select([far, near], [], [], wait)[0]:
            packet = os.read(device, 65536)
            if random.random() >= loss:
                number += 1
                to = near if device == far else far
                heapq.heappush(under_way, (time.monotonic() + round_trip / 2, number, to, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(under_way)
            os.write(to, packet)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
