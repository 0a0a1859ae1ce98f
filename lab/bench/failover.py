"""Failover: from the kill of a resolver to the last lost query, and the minute after."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.lab import Lab
from lab.load import Load, Query
from lab.topology import ENDPOINTS, VIP
from lab.unbound import PIDFILE
from lab.waiting import wait_until
from lab.watch import DECISIONS, Timeline, Watcher

from .kernel import CLOSED, Closing, next_probe
from .strike import strike
from .system import System

RATE = 200.0
# OSPF delays a change by seconds when it follows another one within a second.
SETTLE_SECONDS = 7.0
CALM_SECONDS = 3.0
LONGEST_SECONDS = 90.0
LOGGED_SECONDS = 20.0
MINUTE = 60.0
SENT, GONE, LAST = "latch written, ifdown sent", "address off lo", "last lost query"
# A run of the handler has these steps, in this order.
OF_HANDLER = (
    "handler called, fleet file read",
    "failure confirmed",
    SENT,
    GONE,
    "route gone from the router",
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
        stages: the time of each step, by its name; of a peer only two of them.
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
    with Lab(venv=venv, hold_down=300, speaks=system.speaks) as lab:
        system.start(lab, peers)
        system.wait_until_ready(lab)
        time.sleep(settle)
        system.wait_until_ready(lab)
        timeline = Timeline(lambda _event: None)
        watcher = Watcher(lab, ENDPOINTS[0].name, timeline)
        try:
            return fail(system, lab, timeline, share, minute=minute)
        finally:
            watcher.stop()
            timeline.stop()


def fail(system: System, lab: Lab, timeline: Timeline, share: float, *, minute: bool) -> Failover:
    """Kill the resolver of ns1 under load, in a lab in which all is well; see measure."""
    load = Load(lab.client, rate=RATE)
    wait_until(lambda: _instances(load.queries()) == len(ENDPOINTS), "all answer", 20)
    closing = Closing(lab)
    probed = next_probe(lab)
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
    closed = closing.end()
    stages = {} if closed is None else {CLOSED: round(closed - killed, 3)}
    stages |= _stages(system, lab, timeline, killed) | {LAST: last}
    fault = system.fault.name
    return Failover(system.name, system.retry, last, before, fault, stages, changes, after)


def _stages(system: System, lab: Lab, timeline: Timeline, killed: float) -> dict[str, float]:
    """Give the time of each step of the handler, from its log; empty where there is no log."""
    if not system.logs:
        return {}

    def find() -> dict[str, Any] | None:
        shown = lab.mon.run(["cat", DECISIONS]).stdout
        entries = [json.loads(line) for line in shown.splitlines()]
        acts = (one for one in entries if one["action"] == "withdraw" and _ended(one) > killed)
        return next(acts, None)

    # A run is in the log when it has counted again.
    act = wait_until(find, "the withdrawal is in the log", LOGGED_SECONDS)
    assert act is not None
    commands = act["commands"]
    gone = timeline.expect("address-gone", killed, 1).at
    route = timeline.expect("route-gone", killed, 1).at
    own = (_ended(act) - act["duration"], commands[0]["at"], commands[-1]["at"], gone, route)
    at = system.stages(ENDPOINTS[0].name, killed) | dict(zip(OF_HANDLER, own, strict=True))
    return {stage: round(moment - killed, 3) for stage, moment in at.items()}


def _ended(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()


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
