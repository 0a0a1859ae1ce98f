"""Planned maintenance: endpoints are taken out, changed and brought back under load."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab import frr
from lab.errors import LabError
from lab.lab import Endpoint, Lab
from lab.load import Load
from lab.services import web_server
from lab.waiting import wait_until

from .planned_ways import Way

# A second: datagrams, and connections beside them.
RATES = {"udp": 1000.0, "tcp": 50.0, "http": 50.0}
LEAST = 10_000
# Whoever takes an endpoint out waits so long for the router before the change.
PATIENCE_SECONDS = 10.0
BACK_SECONDS = 30.0
# OSPF delays a change by seconds when it follows another one within a second.
SETTLE_SECONDS = 7.0
FIRST_SECONDS, ENOUGH_TO_BEGIN = 20.0, 20


@dataclass(frozen=True)
class Maintenance:
    """One round: an endpoint, or each in turn, is taken out, has its service restarted, comes back.

    Attributes:
        way: the name of the way in which it was taken out.
        asked: how many queries and requests there were, by what they were made over.
        lost: how many of them were not answered rightly.
        left: seconds from the order to when the router sent nothing there any more; None where it
            went on.
        took: seconds for which the order took.
    """

    way: str
    asked: dict[str, int]
    lost: dict[str, int]
    left: float | None
    took: float


def measure(way: Way, venv: Path, peers: Path, runs: int, least: int = LEAST) -> list[Maintenance]:
    """Build a lab, and maintain it in one way, so many times."""
    with Lab(venv=venv, style=way.style, speaks=way.speaks, places=way.places) as lab:
        for endpoint in lab.endpoints:
            web_server(endpoint.host).start()
            # Otherwise the kernel lets unbound send no datagram from an absent address of IPv6.
            endpoint.host.run(["sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"], check=True)
        if way.delay:
            delay = f"{way.delay * 1000:.0f}"
            timers = f"timers throttle spf {delay} {delay} {delay}"
            frr.configure(lab.router, "ospfd", "router ospf", timers)
        way.start(lab, peers)
        return [_maintain(lab, way, least) for _ in range(runs)]


def _maintain(lab: Lab, way: Way, least: int) -> Maintenance:
    _wait_for_all(lab)
    if least:
        time.sleep(SETTLE_SECONDS)
    vip = lab.places[0].vip
    loads = {o: Load(lab.client, server=vip, rate=rate, over=o) for o, rate in RATES.items()}
    wait_until(lambda: all(map(_is_answered, loads.values())), "all is answered", FIRST_SECONDS)
    times = [_maintain_one(lab, way, one) for one in lab.endpoints[: None if way.rolling else 1]]
    wait_until(lambda: len(loads["udp"].queries()) >= least, "enough were asked", 60)
    asked = {over: load.stop() for over, load in loads.items()}
    lost = {over: sum(q.outcome != "answered" for q in all_) for over, all_ in asked.items()}
    left = [one for one, _ in times if one is not None]
    return Maintenance(
        way.name,
        {over: len(all_) for over, all_ in asked.items()},
        lost,
        round(max(left), 2) if len(left) == len(times) else None,
        round(max(took for _, took in times), 2),
    )


def _is_answered(load: Load) -> bool:
    return sum(query.outcome == "answered" for query in load.queries()) > ENOUGH_TO_BEGIN


def _maintain_one(lab: Lab, way: Way, endpoint: Endpoint) -> tuple[float | None, float]:
    """Take one out, restart its service and bring it back; see `Maintenance` for the result."""
    name, began = endpoint.place.name, time.monotonic()
    left: list[float] = []

    def see() -> None:
        wait_until(lambda: name not in lab.routed(), f"{name} has left", PATIENCE_SECONDS)
        left.append(time.monotonic() - began)

    with ThreadPoolExecutor() as pool:
        seen = pool.submit(see)
        way.take_out(lab, endpoint)
        took = time.monotonic() - began
        with suppress(LabError):
            seen.result()
    endpoint.resolver.kill()
    endpoint.resolver.repair()
    way.bring_back(lab, endpoint)
    _wait_for_all(lab)
    return (left[0] if left else None), took


def _wait_for_all(lab: Lab) -> None:
    everyone = len(lab.places)
    wait_until(lambda: len(lab.routed()) == everyone, "the router sends to all", BACK_SECONDS)


def table(rounds: Sequence[Maintenance]) -> str:
    """Write for each way how much was asked in all, and how much of it was lost."""
    first = f"{'':<41}{'datagrams':^22}{'connections':^13}{'out,':>6}{'order,':>7}"
    second = f"{'':<34}{'rounds':>7}{'asked':>9}{'lost':>6}{'worst':>7}{'asked':>8}{'lost':>5}"
    lines = [first, f"{second}{'s':>6}{'s':>7}"]
    for way in dict.fromkeys(one.way for one in rounds):
        own = [one for one in rounds if one.way == way]
        lost = [one.lost["udp"] for one in own]
        calls = [sum(n for over, n in one.asked.items() if over != "udp") for one in own]
        cut = [sum(n for over, n in one.lost.items() if over != "udp") for one in own]
        left = [one.left for one in own if one.left is not None]
        out = f"{statistics.median(left):.1f}" if len(left) == len(own) else "never"
        lines.append(
            f"{way:<34}{len(own):>7}{sum(one.asked['udp'] for one in own):>9}{sum(lost):>6}"
            f"{max(lost):>7}{sum(calls):>8}{sum(cut):>5}"
            f"{out:>6}{statistics.median(one.took for one in own):>7.1f}"
        )
    return "\n".join(lines)
