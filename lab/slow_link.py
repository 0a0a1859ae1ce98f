"""A link of the lab whose delay and loss can be changed while packets are under way.

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

from lab import Lab, frr
from lab.topology import Place
from lab.waiting import wait_until

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class SlowLink:
    """The link of one host with the router."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def set(self, round_trip: float, loss: float) -> None:
        """Set the seconds there and back again, and the share that is lost on each way."""
        assert self._process.stdin
        self._process.stdin.write(f"{round_trip} {loss}\n")
        self._process.stdin.flush()


@contextmanager
def slow_link(lab: Lab, place: Place) -> Iterator[SlowLink]:
    """Put a slow link in the place of a host's own, until the lab ends."""
    host = lab.host(place.name)
    lab.router.run(["ip", "link", "del", place.name], check=True)
    router = (str(lab.router.pid), place.name, f"{place.gateway}/30")
    argv = [
        sys.executable,
        "-m",
        "lab.slow_link",
        *router,
        str(host.pid),
        "eth0",
        f"{place.address}/30",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            host.run(["ip", "route", "add", "default", "via", place.gateway], check=True)
            for endpoint in lab.endpoints:
                wait_until(
                    lambda e=endpoint: frr.next_hops(e.host, place.network),  # type: ignore[misc]
                    f"{endpoint.place.name} finds {place.name} again",
                )
            yield SlowLink(process)
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
        if random.random() >= self.loss:  # noqa: S311
            self._number += 1
            to = self._ends[1] if device == self._ends[0] else self._ends[0]
            arrives = time.monotonic() + self.round_trip / 2
            heapq.heappush(self._under_way, (arrives, self._number, to, packet))

    def _arrive(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(self._under_way)
            os.write(to, packet)


def main(*words: str) -> None:
    """Carry packets between the network namespaces of two processes.

    Args:
        words: process, device and address, for one end and then for the other.
    """
    ends = []
    for pid, name, address in (words[:3], words[3:]):
        with open(f"/proc/{pid}/ns/net") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        ends.append(open_tun(name, address))
    print("ready", flush=True)
    way = Way((ends[0], ends[1]), 0.0, 0.0)
    while True:
        way.carry(listen=0)
        line = os.read(0, 100).decode().splitlines()[-1:]
        if not line:
            return
        way.round_trip, way.loss = map(float, line[0].split())


if __name__ == "__main__":
    main(*sys.argv[1:])
