"""Failover: from the kill of a resolver to the last lost query, and the minute after."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lab.lab import Lab
from lab.load import Load, Query
from lab.topology import ENDPOINTS, VIP
from lab.unbound import PIDFILE
from lab.waiting import wait_until
from lab.watch import DECISIONS, Timeline, Watcher

from .strike import strike
from .system import CERTAIN, FIRST, System

RATE = 200.0
# OSPF delays a change by seconds when it follows another one within a second.
SETTLE_SECONDS = 7.0
CALM_SECONDS = 3.0
LONGEST_SECONDS = 90.0
MINUTE = 60.0
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
# In this order; the watcher alone says the first two.
STAGES = (
    FIRST,
    CERTAIN,
    "handler called, fleet file read",
    "failure confirmed",
    "latch written, ifdown sent",
    "address off lo",
    "route gone from the router",
    "last lost query",
)


@dataclass(frozen=True)
class Failover:
    """One run; times are seconds from the kill.

    Attributes:
        system: the system's name.
        retry: seconds from the system's first failing sample to its next one.
        seconds: when the last query that the failover cost was sent.
        lost: when each query that the failover cost was sent, sorted.
        fault: the name of the signal that the service got.
        stages: the time of each step, by its name; of a peer only that of the last lost query.
        changes: how often the router's route changed in the minute after; None if not watched.
        lost_later: how many queries were lost in that minute; None if not watched.
    """

    system: str
    retry: float
    seconds: float
    lost: tuple[float, ...]
    fault: str = signal.SIGKILL.name
    stages: dict[str, float] = field(default_factory=dict)
    changes: int | None = None
    lost_later: int | None = None


def measure(
    system: System,
    venv: Path,
    peers: Path,
    *,
    share: float,
    minute: bool,
    settle: float = SETTLE_SECONDS,
) -> Failover:
    """Build a lab, let the system watch it, kill a resolver under load.

    Args:
        system: the system to measure.
        venv: the virtual environment with this package.
        peers: the virtual environment with the peers.
        share: the part of the interval between two probes that passes from a probe to the kill;
            with kills at random times the median of ten runs would be uncertain by 0.15 s.
        minute: whether to watch for a minute more.
        settle: seconds to wait before the kill, for OSPF.
    """
    with Lab(venv=venv, hold_down=300) as lab:
        system.start(lab, peers)
        system.wait_until_ready(lab)
        time.sleep(settle)
        system.wait_until_ready(lab)
        timeline = Timeline(lambda _event: None)
        watcher = Watcher(lab, ENDPOINTS[0].name, timeline)
        try:
            return _fail(system, lab, timeline, share, minute=minute)
        finally:
            watcher.stop()
            timeline.stop()


def _fail(system: System, lab: Lab, timeline: Timeline, share: float, *, minute: bool) -> Failover:
    load = Load(lab.client, rate=RATE)
    wait_until(lambda: _instances(load.queries()) == len(ENDPOINTS), "all answer", 20)
    probed = _next_probe(lab)
    time.sleep(max(0.0, probed + share * system.interval - time.time()))
    killed = strike(lab.endpoint("ns1").host, system.fault, PIDFILE)
    rest = tuple(place.name for place in ENDPOINTS[1:])
    wait_until(lambda: lab.routed() == rest, "ns1 has left the routing", LONGEST_SECONDS)
    time.sleep(CALM_SECONDS)
    until = time.time() - killed
    changes = _changes(lab) if minute else None
    queries = load.stop()
    lost = sorted(query.sent - killed for query in queries if query.outcome != "answered")
    before = tuple(round(at, 4) for at in lost if 0 <= at <= until)
    after = len([at for at in lost if at > until]) if minute else None
    last = max(before, default=0.0)
    stages = _stages(system, lab, timeline, killed) | {"last lost query": last}
    fault = system.fault.name
    return Failover(system.name, system.retry, last, before, fault, stages, changes, after)


def table(runs: list[Failover]) -> str:
    """Write medians, worst runs, and the ratio to the best peer with samples as far apart.

    Where no peer asks again so soon, the ratio is to the best of all.
    """
    names = list(dict.fromkeys(run.system for run in runs))
    medians = {n: statistics.median(r.seconds for r in runs if r.system == n) for n in names}
    best: dict[float, float] = {}
    for run in runs:
        if not run.system.startswith("ours"):
            median = medians[run.system]
            best[run.retry] = min(median, best.get(run.retry, median))
    best_of_all = min(best.values(), default=None)
    lines = [
        f"{'':<27}{'kill to last':^15}{'x best':>7}{'queries':^15}{'in the minute':>16}",
        f"{'':<27}{'lost query, s':^15}{'peer':>7}{'lost':^15}{'after it':>16}",
        f"{'':<27}{'median':>7}{'worst':>8}{'':7}{'median':>7}{'worst':>8}{'changes':>10}{'lost':>6}",
    ]
    # Systems of the same pace stand beside each other, in the order in which they ran.
    apart = {run.system: run.retry for run in runs}
    for retry in dict.fromkeys(apart.values()):
        pace = f"{retry:g} s between the samples" if retry else "a single failing sample"
        lines.append(pace)
        for name in (one for one in names if apart[one] == retry):
            own = [run for run in runs if run.system == name]
            lost = [len(run.lost) for run in own]
            is_killed = own[0].fault == signal.SIGKILL.name
            peer = best.get(retry, best_of_all) if is_killed else None
            ratio = f"{medians[name] / peer:.2f}" if peer else "-"
            lines.append(
                f"{name:<27}{medians[name]:>7.2f}{max(run.seconds for run in own):>8.2f}{ratio:>7}"
                f"{statistics.median(lost):>7.0f}{max(lost):>8}"
                f"{_worst([run.changes for run in own]):>10}"
                f"{_worst([run.lost_later for run in own]):>6}"
            )
    return "\n".join(lines)


def stages_table(runs: list[Failover]) -> str:
    """Write where the time of our systems goes: the median of each stage, in their order."""
    of = {run.system: run.stages for run in runs if len(run.stages) > 1}
    titles = {name: name.removeprefix("ours, ") for name in of}
    if not of:
        return ""
    lines = ["", f"{'seconds from the kill, medians':<34}" + "".join(map(_column, titles.values()))]
    for stage in STAGES:
        line = f"{stage:<34}"
        for name, title in titles.items():
            at = [run.stages[stage] for run in runs if run.system == name and stage in run.stages]
            shown = f"{statistics.median(at):.2f}" if at else "-"
            line += f"{shown:>{len(_column(title))}}"
        lines.append(line)
    return "\n".join(lines)


def _column(title: str) -> str:
    return f"{title:>{max(8, len(title) + 2)}}"


def _stages(system: System, lab: Lab, timeline: Timeline, killed: float) -> dict[str, float]:
    """Give the time of each step of the handler, from its log; empty where no handler acted."""
    shown = lab.mon.run(["cat", DECISIONS]).stdout
    entries = [json.loads(line) for line in shown.splitlines()]
    acts = [entry for entry in entries if entry["action"] == "withdraw"]
    if not acts:
        return {}
    act, commands = acts[0], acts[0]["commands"]
    ended = datetime.fromisoformat(act["time"].replace("Z", "+00:00")).timestamp()
    gone = timeline.expect("address-gone", killed, 1).at
    route = timeline.expect("route-gone", killed, 1).at
    own = (ended - act["duration"], commands[0]["at"], commands[-1]["at"], gone, route)
    at = system.stages(ENDPOINTS[0].name, killed) | dict(zip(STAGES[2:], own, strict=False))
    return {stage: round(moment - killed, 3) for stage, moment in at.items()}


def _next_probe(lab: Lab) -> float:
    """Wait for a probe of the endpoint, and say when it came, in seconds since the epoch."""
    argv = ["python3", "-I", "-c", NEXT_PROBE]
    return float(lab.endpoint("ns1").host.run(argv, check=True, timeout=LONGEST_SECONDS).stdout)


def _worst(figures: list[int | None]) -> str:
    return str(max((one for one in figures if one is not None), default="-"))


def _changes(lab: Lab) -> int:
    """Count how often the router's kernel changes its route in a minute."""
    watched = lab.router.popen(
        ["timeout", f"{MINUTE:g}", "ip", "-o", "monitor", "route"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    text, _ = watched.communicate(timeout=MINUTE + 10)
    return sum(VIP in line for line in text.splitlines())


def _instances(queries: list[Query]) -> int:
    return len({query.instance for query in queries[-100:] if query.instance})
