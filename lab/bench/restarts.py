"""Restarts: a large resolver is restarted, and the watcher with its defaults leaves it alone."""

from __future__ import annotations

import json
import statistics
import time
from typing import NamedTuple

from lab.host import Host
from lab.lab import Lab
from lab.topology import VIP_NAME
from lab.unbound import CONFIGURATION, PIDFILE
from lab.waiting import wait_until
from lab.watch import DECISIONS

from .system import DIG_INSTANCE
from .watched import Watched

NAMES = 100_000
# The watcher says no more of an endpoint that has changed twenty times within a minute, and its
# lines tell how long the service failed.
PAUSE_SECONDS = 10.0
LONGEST_SECONDS = 60.0
# A withdrawal is in the log when its run has ended, and ends with the hold-down.
LOGGED_SECONDS = 5.0
RESTORED_SECONDS = 300.0
LARGE = "/etc/unbound/large.conf"
# As a service manager does it: what starts waits for the end of what ran before.
AGAIN = """
read -r pid <{pidfile}
kill -{signal} "$pid"
while [ -e "/proc/$pid" ]; do sleep 0.01; done
exec unbound -c {configuration}
"""
RELOAD = 'read -r pid <{pidfile}; kill -HUP "$pid"'
WAYS = {
    "restarted": AGAIN.replace("{signal}", "TERM"),
    "reloaded": RELOAD,
    "killed and started": AGAIN.replace("{signal}", "KILL"),
}


class Restarts(NamedTuple):
    """What came of one way to restart.

    Attributes:
        times: how often it was done.
        failures: for how many seconds the service failed each time that the watcher saw it fail.
        withdrawals: how often the watcher has withdrawn the endpoint.
    """

    times: int
    failures: list[float]
    withdrawals: int


def measure(
    lab: Lab, runs: int, names: int = NAMES, pause: float = PAUSE_SECONDS
) -> dict[str, Restarts]:
    """Restart the resolver of ns1, so many times in each way."""
    host = lab.endpoint("ns1").host
    zone = "server:\n    local-zone: large.example static\n"
    data = (f'    local-data: "host{n}.large.example A 192.0.2.1"\n' for n in range(names))
    host.write(LARGE, zone + "".join(data))
    host.write(CONFIGURATION, f"{host.read(CONFIGURATION)}include: {LARGE}\n")
    _restart(host, WAYS["restarted"])
    system = Watched("defaults")
    system.watch(lab)
    seen: dict[str, tuple[float, list[float]]] = {}
    for way, script in WAYS.items():
        since = time.time()
        for _ in range(runs):
            _restart(host, script)
            time.sleep(pause)
            wait_until(lambda: _answers(host), "the resolver answers", LONGEST_SECONDS)
            # Where it was withdrawn after all, the next restart comes after its restore.
            wait_until(lambda: lab.endpoint("ns1").announced, "it is announced", RESTORED_SECONDS)
        seen[way] = since, _failures(system, since)
    time.sleep(LOGGED_SECONDS)
    acts = _withdrawals(lab)
    ends = [*[since for since, _ in seen.values()][1:], time.time()]
    found = {}
    for (way, (since, failures)), end in zip(seen.items(), ends, strict=True):
        found[way] = Restarts(runs, failures, sum(since <= at < end for at in acts))
    return found


def table(found: dict[str, Restarts]) -> str:
    """Write a row for each way."""
    lines = [
        f"{'':<20}{'times':>7}{'seen to fail':>14}{'for so long, s':>19}{'withdrawn':>11}",
        f"{'':<20}{'':>7}{'':>14}{'median':>10}{'worst':>9}",
    ]
    for way, one in found.items():
        median, worst = "-", "-"
        if one.failures:
            median, worst = f"{statistics.median(one.failures):.2f}", f"{max(one.failures):.2f}"
        lines.append(
            f"{way:<20}{one.times:>7}{len(one.failures):>14}{median:>10}{worst:>9}"
            f"{one.withdrawals:>11}"
        )
    return "\n".join(lines)


def _restart(host: Host, script: str) -> None:
    text = script.format(pidfile=PIDFILE, configuration=CONFIGURATION)
    host.run(["sh", "-c", text], check=True, timeout=LONGEST_SECONDS)


def _answers(host: Host) -> bool:
    return host.run(DIG_INSTANCE.split()).returncode == 0


def _failures(system: Watched, since: float) -> list[float]:
    """List for how many seconds the service failed, each time, by what the watcher has said."""
    found, began = [], 0.0
    for at, text in list(system.said.said):
        if at < since or not text.startswith(f"{VIP_NAME} ns1 "):
            continue
        failing = " OK HARD" not in text
        if failing and not began:
            began = at
        elif began and not failing:
            found.append(round(at - began, 3))
            began = 0.0
    return found


def _withdrawals(lab: Lab) -> list[float]:
    """List when the address was taken off, in seconds since the epoch."""
    entries = map(json.loads, lab.mon.run(["cat", DECISIONS]).stdout.splitlines())
    return [one["commands"][0]["at"] for one in entries if one["action"] == "withdraw"]
