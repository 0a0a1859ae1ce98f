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


def open_tun(name: str, *addresses: str) -> int:
    """Make a TUN device in the present network namespace.

    Args:
        name: the name of the device.
        addresses: the words after `ip address add`.
    """
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    for argv in (
        ("link", "set", "lo", "up"),
        ("address", "add", *addresses, "dev", name),
        ("link", "set", name, "up"),
    ):
        subprocess.run(("ip", *argv), check=True)
    return device


class Way:
    """Carries packets between two TUN devices; round trip and loss may be changed at any time."""

    def __init__(self, ends: tuple[int, int], round_trip: float, loss: float) -> None:
        self._ends = ends
        self.round_trip = round_trip
        self.loss = loss
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._number = 0

    def carry(self, listen: int | None = None) -> None:
        """Carry packets until there is something to be read from a file descriptor."""
        while True:
            self._arrive()
            wait = max(0.0, self._under_way[0][0] - time.monotonic()) if self._under_way else None
            files = [*self._ends, *([] if listen is None else [listen])]
            readable = select.select(files, [], [], wait)[0]
            for device in self._ends:
                if device in readable:
                    self._send_on(device)
            if listen in readable:
                return

    def _send_on(self, device: int) -> None:
        packet = os.read(device, 65536)
        if random.random() >= self.loss:
            self._number += 1
            to = self._ends[1] if device == self._ends[0] else self._ends[0]
            arrives = time.monotonic() + self.round_trip / 2
            heapq.heappush(self._under_way, (arrives, self._number, to, packet))

    def _arrive(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(self._under_way)
            os.write(to, packet)


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
