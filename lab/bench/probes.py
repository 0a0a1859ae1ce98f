"""Probes: what they cost the monitoring host and the endpoint, Icinga and SSH or NRPE included."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from lab.host import Host
from lab.icinga import CONTROL, HEALTH, Icinga, endpoints
from lab.lab import Lab
from lab.nrpe import start_everywhere
from lab.topology import ENDPOINTS

WAYS = {
    "SSH": 'transport = "by_ssh"',
    "SSH kept open": "ssh_keep_open = true",
    "NRPE": 'transport = "nrpe"',
}
PACE = "interval = 1, retry = 1, "
# Icinga says how many checks it has made in the last minute. While it has run for less than a
# minute these are all checks.
SECONDS = 40.0
TICKS = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """Seconds of CPU of the monitoring host, and of everything else, which is the endpoints."""

    monitoring: float
    endpoints: float


class Probed(NamedTuple):
    """The CPU time of one probe, the number of probes, and the seconds that the last ones took."""

    cpu: Cpu
    probes: int
    wall: float


def measure(lab: Lab, way: str, seconds: float = SECONDS) -> Probed:
    """Let Icinga probe every endpoint every second; the cost without probes is subtracted."""
    if way == "NRPE":
        start_everywhere(lab)
    icinga = Icinga(lab.mon, endpoints(PACE + WAYS[way]))
    icinga.start()
    for place in ENDPOINTS:
        icinga.wait_for(place.name, HEALTH, "OK")
        icinga.switch_service(place.name, CONTROL, enable_active_checks=False)
    before = _probes(icinga)
    probing = _spent(lab, seconds)
    probes = _probes(icinga) - before
    wall = statistics.median(icinga.service(place.name, HEALTH).seconds for place in ENDPOINTS)
    for place in ENDPOINTS:
        icinga.switch_service(place.name, HEALTH, enable_active_checks=False)
    idle = _spent(lab, seconds)
    icinga.stop()
    each = [(busy - rest) / probes for busy, rest in zip(probing, idle, strict=True)]
    return Probed(Cpu(*each), probes, wall)


def _probes(icinga: Icinga) -> int:
    status = icinga.api.ask("GET", "status/CIB")["results"][0]["status"]
    return int(status["active_service_checks_1min"])


def _spent(lab: Lab, seconds: float) -> Cpu:
    before = _cpu_of(lab.mon), _cpu_of_machine()
    time.sleep(seconds)
    monitoring, machine = _cpu_of(lab.mon) - before[0], _cpu_of_machine() - before[1]
    return Cpu(monitoring, machine - monitoring)


def _cpu_of(host: Host) -> float:
    """Add up the CPU seconds of the host's processes and of their ended children."""
    ticks = 0
    for stat in Path(f"/proc/{host.pid}/root/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(word) for word in words[11:15])  # utime, stime, cutime, cstime
    return ticks / TICKS


def _cpu_of_machine() -> float:
    # The CPU of an endpoint cannot be read from its processes, because sshd and nrpe leave their
    # children behind.
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def table(found: dict[str, Probed]) -> str:
    """Write what a probe costs, and how many a second would fill one core."""
    lines = [
        f"{'':<15}{'CPU ms of one probe':^24}{'wall':>8}{'one core of the monitoring':>30}",
        f"{'':<15}{'monitoring':>12}{'endpoint':>12}{'ms':>8}{'host carries, probes/s':>30}",
    ]
    for way, probed in found.items():
        own, endpoint = probed.cpu
        lines.append(
            f"{way:<15}{own * 1000:>12.1f}{endpoint * 1000:>12.1f}"
            f"{probed.wall * 1000:>8.0f}{1 / own:>30.0f}"
        )
    return "\n".join(lines)
