"""Probes: what they cost the monitoring host and the endpoint.

Icinga and SSH or NRPE are included, or the watcher with its streams and looks.
"""

from __future__ import annotations

import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lab import frr, monitoring
from lab.host import Host
from lab.icinga import CONTROL, HEALTH, Icinga, endpoints
from lab.lab import Lab
from lab.load import Load
from lab.nrpe import start_everywhere
from lab.topology import ENDPOINTS, VIP_NAME, Place
from lab.waiting import wait_until

from .watched import INTERVAL, Watch

WAYS = {
    "SSH": "ssh_keep_open = false",
    "SSH kept open": 'transport = "by_ssh"',
    "NRPE": 'transport = "nrpe"',
}
PACE = "interval = 1, retry = 1, "
# Icinga says how many checks it has made in the last minute. While it has run for less than a
# minute these are all checks.
SECONDS = 40.0
WATCHER = "watcher, 2 VIPs"
# A processor that sleeps between two samples takes twice as long for each, and for any other work.
# Endpoints that serve clients are awake.
BUSY = "watcher, clients"
RATE = 200.0
# The watcher looks at each endpoint once a minute, as the control service of an engine does.
WATCHED_SECONDS = 60.0
SETTLE_SECONDS = 5.0
HEARD_SECONDS = ANNOUNCED_SECONDS = 60.0
# The endpoints' second VIP, whose queries unbound answers too. It is announced as the first one is:
# each look at a VIP that nobody announces asks all other endpoints about it.
SECOND, SECOND_LABEL = "second", "lo:1"
SECOND_VIP = "10.0.99.53"
TICKS = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """Seconds of CPU of the monitoring host, and of everything else, which is the endpoints."""

    monitoring: float
    endpoints: float


class Probed(NamedTuple):
    """What one way to probe costs.

    Attributes:
        cpu: the CPU time of one probe.
        probes: how many there were.
        wall: the seconds that the last ones took; None where nobody waits for one.
        pace: probes a second and endpoint.
    """

    cpu: Cpu
    probes: int
    wall: float | None
    pace: float


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
    return Probed(Cpu(*each), probes, wall, 1.0)


def measure_watcher(lab: Lab, seconds: float = WATCHED_SECONDS, rate: float = 0.0) -> Probed:
    """Let the watcher hear two VIPs of each endpoint, each of which is asked five times a second.

    What the hosts cost without it is subtracted. Clients send so many queries a second to all of
    them meanwhile.
    """
    text = lab.mon.read(monitoring.FLEET_FILE)
    second = [Place(place.name, place.link, SECOND_VIP, SECOND) for place in ENDPOINTS]
    more = monitoring.fleet(second, lab.hold_down).removeprefix(monitoring.FLEET_SSH)
    lab.mon.write(monitoring.FLEET_FILE, text + more.replace('"lo:0"', f'"{SECOND_LABEL}"'))
    for endpoint in lab.endpoints:
        add = ["ip", "address", "add", f"{SECOND_VIP}/32", "dev", "lo", "label", SECOND_LABEL]
        endpoint.host.run(add, check=True)
        frr.configure(endpoint.host, "ospfd", f"ip prefix-list ANYCAST permit {SECOND_VIP}/32")
    announced = partial(frr.interfaces_to, lab.router, f"{SECOND_VIP}/32")
    what = "all endpoints announce the second VIP"
    wait_until(lambda: len(announced()) == len(ENDPOINTS), what, ANNOUNCED_SECONDS)
    lab.install_gate()
    load = Load(lab.client, rate=rate) if rate else None
    time.sleep(SETTLE_SECONDS)
    idle = _spent_by_processes(lab, seconds)
    watch = Watch(lab)
    for place in ENDPOINTS:
        for name in (VIP_NAME, SECOND):
            watch.wait_for(f"{name} {place.name} OK HARD", HEARD_SECONDS)
    time.sleep(SETTLE_SECONDS)
    watching = _spent_by_processes(lab, seconds)
    watch.end()
    if load:
        load.stop()
    pace = 2 / INTERVAL
    probes = round(pace * seconds * len(ENDPOINTS))
    each = [(busy - rest) / probes for busy, rest in zip(watching, idle, strict=True)]
    return Probed(Cpu(*each), probes, None, pace)


def _spent_by_processes(lab: Lab, seconds: float) -> Cpu:
    """Add up what the processes of the hosts spend; those of a stream leave no children behind."""
    hosts = [endpoint.host for endpoint in lab.endpoints]
    before = _cpu_of(lab.mon), sum(map(_cpu_of, hosts))
    time.sleep(seconds)
    return Cpu(_cpu_of(lab.mon) - before[0], sum(map(_cpu_of, hosts)) - before[1])


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
    """Write the cost of a probe, how many would fill one core, and the cost of an endpoint."""
    titles = (
        ("", "CPU ms of one probe", "wall", "one core of the", "ms of CPU a second and endpoint"),
        ("", "monitoring", "endpoint", "ms", "first carries", "probes", "monitoring", "endpoint"),
    )
    above = "{:<17}{:>20}{:>7}{:>17}{:>34}".format(*titles[0])
    below = "{:<17}{:>11}{:>9}{:>7}{:>17}{:>12}{:>12}{:>10}"
    lines = [above, below.format(*titles[1])]
    for way, probed in found.items():
        own, endpoint = (seconds * 1000 for seconds in probed.cpu)
        wall = "-" if probed.wall is None else f"{probed.wall * 1000:.0f}"
        each = (f"{own * probed.pace:.1f}", f"{endpoint * probed.pace:.1f}")
        # A short run may cost less than the kernel counts.
        carries = f"{1000 / own:.0f}/s" if own > 0 else "-"
        cells = (f"{own:.2f}", f"{endpoint:.2f}", wall, carries, f"{probed.pace:.0f}")
        lines.append(below.format(way, *cells, *each))
    return "\n".join(lines)
