"""A bad night: all endpoints of ten VIPs fail within a second.

A hundred lab hosts run FRR, sshd and unbound of their own. All of them share this machine's
processors with the monitoring host, whose handlers would elsewhere have a machine to themselves.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lab import frr
from lab.lab import Lab
from lab.topology import Place
from lab.watch import DECISIONS

from . import timing

VIPS, EACH = 10, 10
AT_ONCE = 50
FIRST_LINK = 11
LOOK_SECONDS = 0.2
ROUNDS = 8


@dataclass(frozen=True)
class Run:
    """One run of the handler.

    Attributes:
        endpoint: the name of the endpoint.
        exit: the exit status; negative where a signal ended the run.
        seconds: from the start of the process to its end.
        ended: seconds from the failure to the end of the run.
        memory: its peak, in MiB.
    """

    endpoint: str
    exit: int
    seconds: float
    ended: float
    memory: float


def places(vips: int, each: int) -> list[Place]:
    """Name the endpoints, so many for each VIP."""
    return [
        Place(f"e{vip}-{n}", FIRST_LINK + vip * each + n, f"10.99.1.{vip}", f"v{vip}")
        for n in range(each)
        for vip in range(vips)
    ]


def measure(lab: Lab) -> dict[str, Any]:
    """Kill all resolvers, call the handlers as an engine would, then let `enforce` do the rest."""
    watched = Fewest(lab)
    try:
        within = kill([endpoint.host.pid for endpoint in lab.endpoints])
        failed = time.monotonic()
        events = _call(lab, "event", failed)
        first = _decided(lab)
        rounds: list[list[Run]] = []
        while len(rounds) < ROUNDS and withdrawn(lab) < _due(lab):
            rounds.append(_call(lab, "enforce", failed))
    finally:
        fewest = watched.stop()
    return {
        "endpoints": len(lab.places),
        "killed within": within,
        "events": [asdict(run) for run in events],
        "rules": dict(Counter(entry["rule"] for entry in first)),
        "rounds": [max(run.ended for run in runs) for runs in rounds],
        "withdrawn": withdrawn(lab),
        "due": _due(lab),
        "fewest": fewest,
        "floor kept": all(fewest[vip] >= floor for vip, floor in floors(lab).items()),
    }


def table(result: dict[str, Any]) -> str:
    """Write the result, one figure a line."""
    events = [Run(**run) for run in result["events"]]
    killed = [run for run in events if run.exit < 0 or run.seconds > 25]
    rules = ", ".join(f"{count} {rule}" for rule, count in sorted(result["rules"].items()))
    rounds = ", ".join(f"{seconds:.1f}" for seconds in result["rounds"]) or "-"
    rows = {
        "endpoints that fail": result["endpoints"],
        "all of them within, s": f"{result['killed within']:.2f}",
        "last decision of `event`, s after": f"{max(run.ended for run in events):.1f}",
        "longest run of `event`, s": f"{max(run.seconds for run in events):.1f}",
        "runs killed, or beyond 25 s": len(killed),
        f"peak memory of {AT_ONCE} at once, MiB": f"{_most(events):.0f}",
        "decided by": rules,
        "fewest that announced, of any VIP": min(result["fewest"].values()),
        "floor kept": "yes" if result["floor kept"] else "NO",
        "rounds of `enforce` ended, s after": rounds,
        "withdrawn in the end, and due": f"{result['withdrawn']} of {result['due']}",
    }
    return "\n".join(f"{what:<42} {value}" for what, value in rows.items())


class Fewest:
    """Watches the router's kernel for the fewest endpoints that each VIP has had."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._fewest = {place.vip: len(lab.places) for place in lab.places}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        """Watch no more, and tell."""
        self._stopped.set()
        self._thread.join()
        return self._fewest

    def _loop(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            shown = self._lab.router.run(["ip", "-json", "route", "show"]).stdout
            routes = {route["dst"]: route for route in json.loads(shown)}
            for vip, fewest in self._fewest.items():
                hops = len(routes[vip].get("nexthops", [0])) if vip in routes else 0
                self._fewest[vip] = min(fewest, hops)


def kill(hosts: Sequence[int]) -> float:
    """End the resolvers of hosts within milliseconds, and give the seconds that it took.

    To enter the hosts one by one would take seconds, in which a watcher has begun to act.

    Args:
        hosts: the process of each host, as this machine numbers it.
    """
    here: dict[tuple[int, int], int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        # Any process may end meanwhile.
        with suppress(OSError):
            inner = re.search(r"^NSpid:.*?(\d+)$", status.read_text(), re.MULTILINE)
            if inner:
                here[_namespace(status.parent), int(inner[1])] = int(status.parent.name)
    resolvers = [
        here[_namespace(place), int((place / "root/run/unbound.pid").read_text())]
        for place in (Path(f"/proc/{pid}") for pid in hosts)
    ]
    began = time.monotonic()
    for one in resolvers:
        os.kill(one, signal.SIGKILL)
    return time.monotonic() - began


def _namespace(process: Path) -> int:
    return (process / "ns/pid").stat().st_ino


def _call(lab: Lab, verb: str, failed: float) -> list[Run]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(partial(_run, lab, verb, failed), lab.places))


def _run(lab: Lab, verb: str, failed: float, place: Place) -> Run:
    argv = ["anycast-handler", verb, place.vip_name, place.name]
    argv += ["--state", "CRITICAL", "--state-type", "HARD"]
    status, cost = timing.run(lab.mon, argv, "nagios")
    return Run(place.name, status, cost.wall, time.monotonic() - failed, cost.memory)


def _decided(lab: Lab) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lab.mon.read(DECISIONS).splitlines()]


def withdrawn(lab: Lab) -> int:
    """Count the endpoints to which the router sends nobody."""
    announced = sum(
        len(frr.next_hops(lab.router, vip)) for vip in {place.vip for place in lab.places}
    )
    return len(lab.places) - announced


def floors(lab: Lab) -> dict[str, int]:
    """Compute the default floor of each VIP, half of its endpoints."""
    return {vip: max(1, each // 2) for vip, each in Counter(p.vip for p in lab.places).items()}


def _due(lab: Lab) -> int:
    return len(lab.places) - sum(floors(lab).values())


def _most(runs: list[Run]) -> float:
    return sum(sorted((run.memory for run in runs), reverse=True)[:AT_ONCE])
