"""What a check, a decision and a withdrawal cost: medians, and ratios of CPU time in pairs."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .errors import LabError
from .host import ENVIRONMENT, Host
from .lab import Lab
from .monitoring import PLUGINS
from .topology import QUERY, RIGHT_ANSWER, VIP, VIP_NAME
from .watch import DECISIONS, Timeline, Watcher

CHECK = [f"{PLUGINS}/check_anycast", "dns", "-H", VIP, "--query", QUERY, "--expect", RIGHT_ANSWER]
CHECK_IMPORTS = "import click, nagiosplugin, dns.message"
EVENT = ["anycast-handler", "event", VIP_NAME, "ns1"]
EVENT_IMPORTS = "import click, {toml}, json, ipaddress, dataclasses"
# OSPF answers a change within a second of another one only after seconds.
SETTLE_SECONDS = 6.0


def main() -> int:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--venv", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=30, help="pairs of each ratio (30)")
    parser.add_argument("--withdrawals", type=int, default=7, help="withdrawals (7)")
    options = parser.parse_args()
    python = str(options.venv / "bin" / "python")
    try:
        with Lab(venv=options.venv, hold_down=0) as lab:
            toml = "tomllib" if sys.version_info >= (3, 11) else "tomli"
            imports = EVENT_IMPORTS.format(toml=toml)
            quiet = [*EVENT, "--state", "WARNING", "--state-type", "HARD"]
            ns1 = lab.endpoint("ns1").host
            _compare("check_anycast dns", ns1, CHECK, [python, "-c", CHECK_IMPORTS], options.pairs)
            _compare("event, no action", lab.mon, quiet, [python, "-c", imports], options.pairs)
            _measure_withdrawals(lab, options.withdrawals)
    except LabError as error:
        print(f"the benchmark failed: {error}")
        return 1
    return 0


def _compare(what: str, host: Host, ours: list[str], base: list[str], pairs: int) -> None:
    _cpu_seconds(host, ours)
    ratios, costs = [], []
    for _ in range(pairs):
        cost = _cpu_seconds(host, ours)
        ratios.append(cost / _cpu_seconds(host, base))
        costs.append(cost)
    figures = f"{statistics.median(ratios):.2f} x {' '.join(base[1:])!r}"
    print(f"{what:<24}{statistics.median(costs) * 1000:6.0f} ms CPU, {figures}", flush=True)


def _cpu_seconds(host: Host, argv: list[str]) -> float:
    process = subprocess.Popen(
        host.enter(argv),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(ENVIRONMENT),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _measure_withdrawals(lab: Lab, times: int) -> None:
    timeline = Timeline(lambda _event: None)
    watcher = Watcher(lab, "ns1", timeline)
    walls, routes = [], []
    try:
        for _ in range(times):
            time.sleep(SETTLE_SECONDS)
            wall, route = _withdraw_once(lab, timeline)
            walls.append(wall)
            routes.append(route)
    finally:
        watcher.stop()
        timeline.stop()
    print(
        f"{'withdrawal over SSH':<24}{statistics.median(walls) * 1000:6.0f} ms, from call to exit"
    )
    print(f"{'ifdown to route gone':<24}{statistics.median(routes) * 1000:6.0f} ms, in the router")


def _withdraw_once(lab: Lab, timeline: Timeline) -> tuple[float, float]:
    resolver = lab.endpoint("ns1").resolver
    resolver.kill()
    began = time.time()
    lab.mon.run([*EVENT, "--state", "CRITICAL", "--state-type", "HARD"], user="nagios", check=True)
    wall = time.time() - began
    gone = timeline.expect("route-gone", began, 15)
    entry = json.loads(lab.mon.read(DECISIONS).splitlines()[-1])
    ifdown = next(c["at"] for c in entry["commands"] if "/sbin/ifdown" in c["argv"])
    resolver.repair()
    time.sleep(SETTLE_SECONDS)
    restored = time.time()
    lab.endpoint("ns1").host.run(["rm", "-f", f"/var/lib/anycast/{VIP}.latch.json"], check=True)
    lab.mon.run(["anycast-handler", "restore", VIP_NAME, "ns1"], user="nagios", check=True)
    timeline.expect("route-back", restored, 15)
    return wall, gone.at - ifdown


if __name__ == "__main__":
    sys.exit(main())
