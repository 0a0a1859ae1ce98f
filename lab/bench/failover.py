"""Failover: from the kill of a resolver to the last lost query, and the minute after."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lab.lab import Lab
from lab.load import Load, Query
from lab.topology import ENDPOINTS, VIP
from lab.waiting import wait_until
from lab.watch import DECISIONS, Timeline, Watcher

from .system import System

RATE = 200.0
# OSPF answers a change within a second of another one only after seconds.
SETTLE_SECONDS = 7.0
CALM_SECONDS = 3.0
LONGEST_SECONDS = 90.0
MINUTE = 60.0


@dataclass(frozen=True)
class Failover:
    """One run; times are seconds from the kill.

    Attributes:
        system: its name.
        retry: seconds from its first failing sample to the next one.
        seconds: when the last query was sent that was lost before calm.
        lost: when each lost query was sent, sorted.
        stages: when what happened, in words; of ours only.
        changes: of the router's route in the minute after; None where that was not watched.
        lost_later: queries in that minute; likewise.
    """

    system: str
    retry: float
    seconds: float
    lost: tuple[float, ...]
    stages: dict[str, float] = field(default_factory=dict)
    changes: int | None = None
    lost_later: int | None = None


def measure(
    system: System, venv: Path, peers: Path, *, minute: bool, settle: float = SETTLE_SECONDS
) -> Failover:
    """Build a lab, let the system watch it, kill a resolver under load."""
    with Lab(venv=venv, hold_down=300) as lab:
        system.start(lab, peers)
        system.wait_until_ready(lab)
        time.sleep(settle)
        system.wait_until_ready(lab)
        timeline = Timeline(lambda _event: None)
        watcher = Watcher(lab, ENDPOINTS[0].name, timeline)
        try:
            return _fail(system, lab, timeline, minute=minute)
        finally:
            watcher.stop()
            timeline.stop()


def _fail(system: System, lab: Lab, timeline: Timeline, *, minute: bool) -> Failover:
    load = Load(lab.client, rate=RATE)
    wait_until(lambda: _instances(load.queries()) == len(ENDPOINTS), "all answer", 20)
    # Without chance it would always be the same moment between two probes of one system.
    time.sleep(random.uniform(0, system.interval))  # noqa: S311
    killed = time.time()
    lab.endpoint("ns1").resolver.kill()
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
    stages = _stages(lab, timeline, killed) | {"last lost query": last}
    return Failover(system.name, system.retry, last, before, stages, changes, after)


def table(runs: list[Failover]) -> str:
    """Write medians and worst, and the ratio to the best peer whose samples are as far apart."""
    names = list(dict.fromkeys(run.system for run in runs))
    medians = {n: statistics.median(r.seconds for r in runs if r.system == n) for n in names}
    best: dict[float, float] = {}
    for run in runs:
        if not run.system.startswith("ours"):
            median = medians[run.system]
            best[run.retry] = min(median, best.get(run.retry, median))
    lines = [
        f"{'':<27}{'kill to last':^15}{'x best':>7}{'queries':^15}{'in the minute':>16}",
        f"{'':<27}{'lost query, s':^15}{'peer':>7}{'lost':^15}{'after it':>16}",
        f"{'':<27}{'median':>7}{'worst':>8}{'':7}{'median':>7}{'worst':>8}{'changes':>10}{'lost':>6}",
    ]
    for name in names:
        own = [run for run in runs if run.system == name]
        equal = best.get(own[0].retry)
        ratio = f"{medians[name] / equal:.2f}" if equal else "-"
        lost = [len(run.lost) for run in own]
        lines.append(
            f"{name:<27}{medians[name]:>7.2f}{max(run.seconds for run in own):>8.2f}{ratio:>7}"
            f"{statistics.median(lost):>7.0f}{max(lost):>8}"
            f"{_worst([run.changes for run in own]):>10}"
            f"{_worst([run.lost_later for run in own]):>6}"
        )
    return "\n".join(lines)


def stages_table(runs: list[Failover]) -> str:
    """Write where the time of ours goes: the median of each stage, in the order of the stages."""
    lines = []
    for name in dict.fromkeys(run.system for run in runs if len(run.stages) > 1):
        own = [run.stages for run in runs if run.system == name]
        lines.append(f"{name}, medians of seconds from the kill")
        for stage in own[0]:
            at = [stages[stage] for stages in own if stage in stages]
            lines.append(f"  {statistics.median(at):6.2f}  {stage}")
    return "\n".join(lines)


def _stages(lab: Lab, timeline: Timeline, killed: float) -> dict[str, float]:
    """Say when the handler did what, from its own log; nothing where it has none."""
    shown = lab.mon.run(["cat", DECISIONS]).stdout
    entries = [json.loads(line) for line in shown.splitlines()]
    acts = [entry for entry in entries if entry["action"] == "withdraw"]
    if not acts:
        return {}
    act, commands = acts[0], acts[0]["commands"]
    ended = datetime.fromisoformat(act["time"].replace("Z", "+00:00")).timestamp()
    gone = timeline.expect("address-gone", killed, 1).at
    route = timeline.expect("route-gone", killed, 1).at
    at = {
        "handler called, fleet file read": ended - act["duration"],
        "failure confirmed, latch written": commands[0]["at"],
        "ifdown sent": commands[-1]["at"],
        "address off lo": gone,
        "route gone from the router's kernel": route,
    }
    return {stage: round(moment - killed, 3) for stage, moment in at.items()}


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
