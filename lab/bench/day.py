"""A day in the life: failure after failure, and nothing of the watcher that grows."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lab.host import Host
from lab.lab import Endpoint, Lab
from lab.monitoring import FLEET_FILE
from lab.topology import VIP_NAME
from lab.unbound import PIDFILE

from .strike import strike
from .usage import Usage, usage
from .watched import WATCHER, Watched

MINUTES = 30.0
EACH_SECONDS = 20.0
# A failure lasts so long; the rest of the time is for the restore.
FAILING_SECONDS = 6.0
LONGEST_SECONDS = 60.0
STREAMS = "check_anycast.*--stream"
WRONG = "192.0.2.99"
PARTS = 4
QUICK = "hold_down = 0\nspacing = 0\nmax_restores = 100000"


class Moment(NamedTuple):
    """What was in use when a failure was over, by the watcher and by all streams.

    Attributes:
        at: seconds from the beginning.
        fault: what had happened.
        withdrawn: whether the watcher has withdrawn the endpoint.
        beats: how many heartbeats all streams have sent by then, by arithmetic.
        watcher: what the watcher uses.
        streams: what the streams use, on all endpoints together.
    """

    at: float
    fault: str
    withdrawn: bool
    beats: int
    watcher: Usage
    streams: Usage


def measure(lab: Lab, minutes: float = MINUTES, each: float = EACH_SECONDS) -> list[Moment]:
    """Let one endpoint after the other fail, in one way after the other."""
    text = lab.mon.read(FLEET_FILE)
    lab.mon.write(FLEET_FILE, text.replace(f"hold_down = {lab.hold_down:g}", QUICK))
    system = Watched("defaults")
    system.watch(lab)
    began = time.time()
    faults: dict[str, Callable[[Endpoint], None]] = {
        "killed": lambda one: _signal(one, signal.SIGKILL),
        "wrong answer": lambda one: one.resolver.answer(WRONG),
        "connections lost": lambda one: _cut(one.host),
        "hangs": lambda one: _signal(one, signal.SIGSTOP),
    }
    found: list[Moment] = []
    while (turn := len(found)) < max(2, minutes * 60 / each):
        next_at = began + (turn + 1) * each
        fault = list(faults)[turn % len(faults)]
        endpoint = lab.endpoints[turn % len(lab.endpoints)]
        failed = time.time()
        faults[fault](endpoint)
        time.sleep(min(FAILING_SECONDS, each / 2))
        name = f"{VIP_NAME} {endpoint.place.name}"
        withdrawn = system.said.says(f"{name}: ", "withdrawn", failed)
        back = time.time()
        endpoint.resolver.repair()
        if withdrawn:
            system.said.wait_for(f"{name} OK HARD", LONGEST_SECONDS, back)
        time.sleep(max(0.0, next_at - time.time()))
        used = usage(lab.mon, WATCHER)
        streams = [usage(one.host, STREAMS) for one in lab.endpoints]
        beats = round((time.time() - began) * len(lab.endpoints))
        found.append(
            Moment(round(next_at - began, 1), fault, withdrawn, beats, used, _added(streams))
        )
    system.said.end()
    return found


def table(found: Sequence[Moment]) -> str:
    """Write what was in use in each quarter of the time, and by how much it has grown."""
    lines = [
        f"{'':<16}{'failures':>9}{'withdrawn':>11}{'the watcher':>18}{'streams on endpoints':>29}",
        f"{'':<36}{'MiB':>8}{'files':>8}{'threads':>9}{'MiB':>8}{'files':>8}{'processes':>11}",
    ]
    size = max(1, len(found) // PARTS)
    parts = [found[first : first + size] for first in range(0, size * PARTS, size)]
    for part in (one for one in parts if one):
        watcher = [moment.watcher for moment in part]
        streams = [moment.streams for moment in part]
        lines.append(
            f"{f'until {part[-1].at / 60:.1f} min':<16}{len(part):>9}"
            f"{sum(moment.withdrawn for moment in part):>11}"
            f"{_median(one.memory for one in watcher):>8.1f}"
            f"{_median(one.files for one in watcher):>8.0f}"
            f"{_median(one.threads for one in watcher):>9.0f}"
            f"{_median(one.memory for one in streams):>8.1f}"
            f"{_median(one.files for one in streams):>8.0f}"
            f"{_median(one.processes for one in streams):>11.0f}"
        )
    lines.append(f"heartbeats of all streams: {found[-1].beats}")
    return "\n".join(lines)


def _median(figures: Iterable[float]) -> float:
    return statistics.median(figures)


def _added(some: Sequence[Usage]) -> Usage:
    return Usage(*(sum(column) for column in zip(*some, strict=True)))


def _signal(endpoint: Endpoint, number: signal.Signals) -> None:
    strike(endpoint.host, number, PIDFILE)


def _cut(host: Host) -> None:
    """End the connections of the watcher to a host."""
    host.run(["pkill", "-KILL", "-u", "anycast", "sshd"], check=True)
