"""A link of the lab whose delay and loss a test changes while packets are under way."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab import Lab, frr
from lab.topology import Place
from lab.waiting import wait_until
from tests.support.distance import CLONE_NEWNET, Way, open_tun


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
    argv = [sys.executable, __file__, *router, str(host.pid), "eth0", f"{place.address}/30"]
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
