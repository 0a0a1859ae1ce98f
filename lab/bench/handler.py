"""Cost of the handler: without action, and of an act beside plain ssh with the same command."""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import datetime
from typing import Any

from lab.lab import Lab
from lab.monitoring import HANDLER_KEY, KNOWN_HOSTS
from lab.topology import ENDPOINTS, VIP, VIP_NAME
from lab.watch import DECISIONS, Timeline, Watcher

from .timing import compare, cost, median, ratio

ENFORCE = ["anycast-handler", "enforce", VIP_NAME, "ns1", "--state-type", "HARD", "--state", "OK"]
EVENT = ["anycast-handler", "event", VIP_NAME, "ns1", "--state-type", "HARD", "--state"]
# An event without action does not import paramiko, so the imports that it is compared with do not
# either.
TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"
IMPORTS = f"import click, {TOML}, json, ipaddress, dataclasses"
SSH = ["ssh", "-i", HANDLER_KEY, "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "BatchMode=yes"]
SSH += ["-l", "anycast", ENDPOINTS[0].address, "sudo", "-n"]
# OSPF delays a change by seconds when it follows another one within a second.
SETTLE_SECONDS = 6.0
LONGEST_SECONDS = 15.0
# The handler imports paramiko when it connects.
IMPORTING = {"connect": "import paramiko, connect"}
CONFIRMED = "run the endpoint's own check"
ACTS = {
    "withdraw": ("CRITICAL", ["/sbin/ifdown", "lo:0"], "address-gone"),
    "restore": ("OK", ["/sbin/ifup", "lo:0"], "address-back"),
}
Steps = dict[str, float]


def measure(lab: Lab, runs: int) -> dict[str, Any]:
    """Measure on the monitoring host; wall times are in seconds, medians of runs."""
    python = str(lab.venv / "bin/python") if lab.venv else "python3"
    programs = {"quiet": [*EVENT, "WARNING"], "imports": [python, "-c", IMPORTS]}
    found = compare(lab.mon, programs, runs, "nagios")
    result: dict[str, Any] = {name: median(costs) for name, costs in found.items()}
    result["quiet to imports"] = ratio(found["quiet"], found["imports"])
    result["enforce"] = median([cost(lab.mon, ENFORCE, user="nagios") for _ in range(runs)])
    timeline = Timeline(lambda _event: None)
    watcher = Watcher(lab, "ns1", timeline)
    acts: dict[str, list[Steps]] = {act: [] for act in ACTS}
    try:
        for _ in range(runs):
            _act_both_ways(lab, timeline, acts)
    finally:
        watcher.stop()
        timeline.stop()
    for act, all_steps in acts.items():
        result[act] = {
            name: statistics.median(steps[name] for steps in all_steps) for name in all_steps[0]
        }
    return result


def table(result: dict[str, Any]) -> str:
    """Write the table."""
    quiet = f"{result['quiet to imports']:.2f} x the CPU of its imports"
    lines = [
        f"{'':<42}{'CPU ms':>7}{'wall':>8}{'MiB':>7}",
        f"{'event without action':<42}{result['quiet']}   {quiet}",
        f"{'enforce, all well':<42}{result['enforce']}",
    ]
    for act in ACTS:
        lines += [f"{act}, ms of wall time", *_act_lines(result[act])]
    return "\n".join(lines)


def _act_lines(steps: Steps) -> list[str]:
    of_act = steps["to the end of the command"]
    own = of_act - steps[CONFIRMED]
    ratios = f"{own / steps['plain ssh']:.2f} x ssh, {of_act / steps['plain ssh']:.2f} with it"
    lines = [f"  {name:<40}{seconds * 1000:7.0f}" for name, seconds in steps.items()]
    return [*lines, f"  {'the command done, without confirmation':<40}{own * 1000:7.0f}   {ratios}"]


def _act_both_ways(lab: Lab, timeline: Timeline, acts: dict[str, list[Steps]]) -> None:
    """Withdraw and restore by plain ssh, then by the handler, and add the seconds of each step."""
    endpoint = lab.endpoint("ns1")
    plain = {}
    for act, (_, command, seen) in ACTS.items():
        began = time.time()
        lab.mon.run([*SSH, *command], user="nagios", check=True)
        plain[act] = timeline.expect(seen, began, LONGEST_SECONDS).at - began
        time.sleep(SETTLE_SECONDS)
    for act, (state, _, seen) in ACTS.items():
        if act == "withdraw":
            endpoint.resolver.kill()
        else:
            endpoint.resolver.repair()
        acts[act].append(_act(lab, timeline, state, seen) | {"plain ssh": plain[act]})
        time.sleep(SETTLE_SECONDS)
    # Without this the fleet's max_restores would end the measuring.
    endpoint.host.run(["rm", "-f", f"/var/lib/anycast/{VIP}.latch.json"], check=True)


def _act(lab: Lab, timeline: Timeline, state: str, seen: str) -> Steps:
    began = time.time()
    lab.mon.run([*EVENT, state], user="nagios", check=True)
    ended = time.time()
    entry = json.loads(lab.mon.read(DECISIONS).splitlines()[-1])
    logged = datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()
    done = timeline.expect(seen, began, LONGEST_SECONDS).at
    called = logged - entry["duration"]
    return {
        "start, first imports, fleet file": called - began,
        **{IMPORTING.get(step, step): seconds for step, seconds in entry["timings"].items()},
        "all of it": ended - began,
        "to the end of the command": done - began,
    }
