"""What all systems that take a failing endpoint out of the routing have in common here."""

from __future__ import annotations

import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lab import routing
from lab.host import Host
from lab.lab import Lab
from lab.topology import ENDPOINTS, QUERY, VIP
from lab.waiting import wait_until

INTERVAL, SAMPLES = 1, 2
DIG = f"/usr/bin/dig +time=1 +tries=1 +short @{VIP} {QUERY} A"
# A system that takes the address away with the service has to ask the service at another address to
# see that it is back.
DIG_INSTANCE = DIG.replace(VIP, "127.0.0.1")
READY_SECONDS = 60.0
# Stages of a failover that a system itself may tell of.
FIRST, CERTAIN = "first failing sample heard", "failure certain"


@dataclass(frozen=True)
class System(ABC):
    """One way to withdraw.

    Attributes:
        name: its name in the tables; those of our systems begin with "ours".
        retry: seconds from the first failing sample to the next one; 0 where one is enough.
        interval: seconds between two probes.
        samples: how many samples have to fail.
        fault: what happens to the service, the signal that it gets.
        logs: whether it writes a log of decisions, as ours do.
    """

    name: str
    retry: float = INTERVAL
    interval: float = INTERVAL
    samples: int = SAMPLES
    fault: signal.Signals = signal.SIGKILL
    logs: bool = False
    # All routers run this daemon and protocol.
    speaks: ClassVar[str] = routing.DEFAULT

    @abstractmethod
    def start(self, lab: Lab, peers: Path) -> None:
        """Start it in a lab whose endpoints all announce; `peers` is the peers' environment."""

    def fill(self, text: str) -> str:
        """Put interval and number of samples into a configuration."""
        text = text.replace("{interval}", f"{self.interval:g}")
        return text.replace("{samples}", f"{self.samples}")

    def wait_until_ready(self, lab: Lab) -> None:
        """Wait until all endpoints are announced as this system does it."""
        wait_until(
            lambda: len(lab.routed()) == len(ENDPOINTS), f"{self.name} announces", READY_SECONDS
        )

    def stages(self, endpoint: str, since: float) -> dict[str, float]:
        """Tell when it said what about a failure of an endpoint since then, by the epoch."""
        return {}


def start_quietly(host: Host, argv: Sequence[str]) -> None:
    """Start a program that goes on, and whose output nobody reads."""
    host.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
