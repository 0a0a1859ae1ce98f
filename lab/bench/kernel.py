"""What an endpoint's kernel tells of probes and of the service."""

from __future__ import annotations

import subprocess

from lab.errors import LabError
from lab.lab import Lab
from lab.topology import VIP

# Prints when the next query arrives by the loopback, as only the queries of probes do.
NEXT_PROBE = """
import socket, time
heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
heard.bind(("lo", 0x0800))
while True:
    packet = heard.recv(65535)
    after = 4 * (packet[0] & 15)
    if packet[9] == socket.IPPROTO_UDP and packet[after + 2 : after + 4] == bytes((0, 53)):
        break
print(time.time())
"""
PROBE_SECONDS = 90.0
CLOSED = "sockets of the service closed"
# Prints when the kernel closes a socket of the service.
CLOSING = f"""
import select, time
from anycast_checks.wakeup import Wakeups
told = Wakeups("{VIP}", [53])
print("ready", flush=True)
while not told.read().died:
    select.select(told.numbers, [], [])
print(time.time(), flush=True)
"""


def next_probe(lab: Lab) -> float:
    """Wait for a probe of ns1, and say when it came, in seconds since the epoch."""
    argv = ["python3", "-I", "-c", NEXT_PROBE]
    return float(lab.endpoint("ns1").host.run(argv, check=True, timeout=PROBE_SECONDS).stdout)


class Closing:
    """Waits until the kernel closes a socket of the service on ns1."""

    def __init__(self, lab: Lab) -> None:
        self._process = lab.endpoint("ns1").host.popen(
            [str(lab.venv and lab.venv / "bin/python"), "-I", "-c", CLOSING],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        if self._process.stdout.readline() != "ready\n":
            raise LabError("the kernel does not tell of sockets that are closed")

    def end(self) -> float | None:
        """Say when that was, in seconds since the epoch; None where it was not."""
        self._process.kill()
        said, _ = self._process.communicate()
        return float(said) if said else None
