"""Distance: failovers by a watcher that is far away from the endpoints."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.lab import Lab
from lab.slow_link import slow_link
from lab.topology import MON, VIP_NAME
from lab.watch import Timeline, Watcher

from . import failover
from .failover import GONE, Failover
from .system import CERTAIN
from .watched import Watched

ROUND_TRIPS = (0.0, 0.02, 0.1, 0.3)
SETTLE_SECONDS = 7.0
SYSTEMS = (
    Watched("patience 0", settings="patience = 0"),
    Watched("defaults"),
)


class Far(NamedTuple):
    """Failovers at one distance; ``round_trip`` is in seconds."""

    system: str
    round_trip: float
    runs: list[Failover]

    def median(self, stage: str) -> float:
        """Give the median of a stage, in seconds from the kill."""
        return statistics.median(run.stages[stage] for run in self.runs)

    @property
    def verdict_to_act(self) -> float:
        """Give the seconds from the watcher's certainty until the address is off."""
        return statistics.median(run.stages[GONE] - run.stages[CERTAIN] for run in self.runs)


def measure(
    venv: Path,
    runs: int,
    systems: Sequence[Watched] = SYSTEMS,
    round_trips: Sequence[float] = ROUND_TRIPS,
    settle: float = SETTLE_SECONDS,
) -> list[Far]:
    """Kill a resolver again and again, at each distance."""
    found = []
    for system in systems:
        with Lab(venv=venv, hold_down=300) as lab, slow_link(lab, MON) as link:
            system.start(lab, Path())
            timeline = Timeline(lambda _event: None)
            watcher = Watcher(lab, "ns1", timeline)
            try:
                for round_trip in round_trips:
                    link.set(round_trip, 0.0)
                    some = [
                        _fail(system, lab, timeline, (turn + 0.5) / runs, settle)
                        for turn in range(runs)
                    ]
                    found.append(Far(system.name, round_trip, some))
                    print(f"  {system.name}, {round_trip * 1000:.0f} ms", flush=True)
            finally:
                watcher.stop()
                timeline.stop()
    return found


def table(found: Sequence[Far]) -> str:
    """Write a row for each distance, and the round trips between verdict and act."""
    lines = [
        "               round  certain  address off  last lost query    verdict",
        "            trip, ms after, s  lo after, s   median   worst  to act, s",
    ]
    for name in dict.fromkeys(one.system for one in found):
        own = [one for one in found if one.system == name]
        for one in own:
            lost = [run.seconds for run in one.runs]
            lines.append(
                f"{one.system:<12}{one.round_trip * 1000:>8.0f}{one.median(CERTAIN):>9.2f}"
                f"{one.median(GONE):>13.2f}{statistics.median(lost):>9.2f}{max(lost):>8.2f}"
                f"{one.verdict_to_act:>11.2f}"
            )
        if len(own) > 1:
            lines.append(f"{'':<12}round trips from the verdict to the act: {_slope(own):.1f}")
    return "\n".join(lines)


def _slope(found: Sequence[Far]) -> float:
    """Count the round trips from the verdict to the act: the seconds for one of distance."""
    trips = [one.round_trip for one in found]
    return statistics.linear_regression(trips, [one.verdict_to_act for one in found]).slope


def _fail(system: Watched, lab: Lab, timeline: Timeline, share: float, settle: float) -> Failover:
    """Let the endpoint fail once, and bring it back by hand."""
    # One watcher that saw all failures would say no more of an endpoint that changes all the time.
    system.watch(lab)
    time.sleep(settle)
    system.wait_until_ready(lab)
    began = time.time()
    run = failover.fail(system, lab, timeline, share, minute=False)
    endpoint = lab.endpoint("ns1")
    system.said.wait_for(f"{VIP_NAME} ns1: ", 60, began)
    # The watcher says that the service is well while the address is away, and not again later.
    back = time.time()
    endpoint.resolver.start()
    endpoint.host.run(["sh", "-c", "rm -f /var/lib/anycast/*.latch.json"], check=True)
    endpoint.host.run(["ifup", "lo:0"], check=True)
    system.said.wait_for(f"{VIP_NAME} ns1 OK HARD", 60, back)
    return run
